/* SPDX-License-Identifier: MIT
 *
 * Capture files read frame by frame. Sources: the IETF drafts
 * draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.
 *
 * Every access goes through pcap_have: it has seen that the bytes are there.
 */
#include "pcap_core.h"

#include <string.h>

#define PCAP_HEADER 24 /* of a classic file */
#define PCAP_RECORD 16 /* before each of its frames */
#define PCAP_BILLION 1000000000

/* pcapng: blocks */
#define PCAP_SECTION 0x0a0d0d0a /* the same in both byte orders */
#define PCAP_ORDER 0x1a2b3c4d
#define PCAP_INTERFACE 1
#define PCAP_OLD_PACKET 2
#define PCAP_SIMPLE_PACKET 3
#define PCAP_PACKET 6
#define PCAP_BLOCK 12 /* type, length, length again */
/* … and options of interfaces */
#define PCAP_TSRESOL 9
#define PCAP_TSOFFSET 14

/* ---- bytes */

static inline uint16_t
pcap_u16(const uint8_t *p, bool big)
{
    return (uint16_t)(big ? p[0] << 8 | p[1] : p[1] << 8 | p[0]);
}

static inline uint32_t
pcap_u32(const uint8_t *p, bool big)
{
    uint32_t value;
    memcpy(&value, p, sizeof(value));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    big = !big;
#endif
    return big ? __builtin_bswap32(value) : value;
}

static pcap_status
pcap_wrong(pcap_problem *problem, size_t offset, const char *text,
           uint64_t had)
{
    *problem = (pcap_problem){offset, 0, had, text};
    return PCAP_WRONG;
}

static pcap_status
pcap_long(pcap_problem *problem, size_t offset, uint64_t most, uint64_t had)
{
    *problem = (pcap_problem){offset, most, had, NULL};
    return PCAP_LONG;
}

/* Are there so many bytes at this place, which is not behind the end? */
static inline bool
pcap_have(const pcap_reader *reader, size_t at, size_t wanted,
          pcap_problem *problem)
{
    size_t left = reader->length - at;
    if (__builtin_expect(wanted <= left, 1)) {
        return true;
    }
    *problem = (pcap_problem){at, wanted, left, NULL};
    return false;
}

/* ---- time and interfaces */

/* Nanoseconds since 1970 of `ticks`; false: not in 64 bits. */
static bool
pcap_time(const pcap_interface *interface, uint64_t ticks, int64_t *time_ns)
{
    __extension__ typedef __int128 wide;
    uint64_t units = interface->units;
    wide time = (wide)(ticks / units) + interface->since;
    time = time * PCAP_BILLION + (wide)(ticks % units) * PCAP_BILLION / units;
    *time_ns = (int64_t)time;
    return time >= INT64_MIN && time <= INT64_MAX;
}

/* Units in a second as if_tsresol says; 0: too fine for 64 bits. */
static uint64_t
pcap_units(uint8_t resolution)
{
    uint64_t units = 1;
    unsigned exponent = resolution & 0x7f;
    if (resolution & 0x80) {
        return exponent < 64 ? units << exponent : 0;
    }
    for (unsigned i = 0; exponent < 20 && i < exponent; i++) {
        units *= 10;
    }
    return exponent < 20 ? units : 0;
}

static pcap_status
pcap_add_interface(pcap_reader *reader, const pcap_interface *interface)
{
    if (reader->count == reader->room) {
        uint32_t room = reader->room > 0 ? 2 * reader->room : 1;
        pcap_interface *more =
            reader->host->resize(reader->interfaces, room * sizeof(*more));
        if (more == NULL) {
            return PCAP_NO_MEMORY;
        }
        reader->interfaces = more;
        reader->room = room;
    }
    reader->interfaces[reader->count++] = *interface;
    return PCAP_PASSED;
}

/* The options at [at, end), of which two matter. */
static pcap_status
pcap_options(const pcap_reader *reader, size_t at, size_t end,
             pcap_interface *interface, pcap_problem *problem)
{
    while (end - at >= 4) {
        uint16_t code = pcap_u16(reader->data + at, reader->big);
        uint16_t size = pcap_u16(reader->data + at + 2, reader->big);
        const uint8_t *value = reader->data + at + 4;
        if (code == 0) {
            break;
        }
        if (size > end - at - 4) {
            *problem = (pcap_problem){at + 4, size, end - at - 4, NULL};
            return PCAP_SHORT;
        }
        if (code == PCAP_TSRESOL && size == 1) {
            uint8_t resolution = *value;
            interface->units = pcap_units(resolution);
            if (interface->units == 0) {
                return pcap_wrong(problem, at + 4,
                                  "a resolution of at most 10^-19 or 2^-63",
                                  resolution);
            }
        }
        if (code == PCAP_TSOFFSET && size == 8) {
            uint64_t high =
                pcap_u32(value + (reader->big ? 0 : 4), reader->big);
            uint64_t low =
                pcap_u32(value + (reader->big ? 4 : 0), reader->big);
            interface->since = (int64_t)(high << 32 | low);
        }
        size_t step = 4 + (((size_t)size + 3) & ~(size_t)3);
        at = step < end - at ? at + step : end;
    }
    return PCAP_PASSED;
}

/* ---- classic files */

static pcap_status
pcap_open_classic(pcap_reader *reader, bool nanoseconds, pcap_problem *problem)
{
    if (!pcap_have(reader, 0, PCAP_HEADER, problem)) {
        return PCAP_SHORT;
    }
    reader->first = (pcap_interface){
        .units = nanoseconds ? PCAP_BILLION : PCAP_BILLION / 1000,
        .snaplen = pcap_u32(reader->data + 16, reader->big),
        /* the upper bits say how long a checksum ends each frame */
        .link_type = pcap_u32(reader->data + 20, reader->big) & 0x03ffffff,
    };
    reader->at = PCAP_HEADER;
    return PCAP_FRAME;
}

static inline pcap_status
pcap_next_classic(pcap_reader *reader, pcap_frame *frame,
                  pcap_problem *problem)
{
    size_t at = reader->at;
    if (at == reader->length) {
        return PCAP_END;
    }
    if (!pcap_have(reader, at, PCAP_RECORD, problem)) {
        return PCAP_SHORT;
    }
    const pcap_interface *interface = &reader->first;
    const uint8_t *p = reader->data + at;
    bool big = reader->big;
    int64_t step = PCAP_BILLION / (int64_t)interface->units;
    frame->time_ns = (int64_t)pcap_u32(p, big) * PCAP_BILLION
                     + (int64_t)pcap_u32(p + 4, big) * step;
    frame->captured = pcap_u32(p + 8, big);
    frame->original = pcap_u32(p + 12, big);
    frame->link_type = interface->link_type;
    frame->start = at + PCAP_RECORD;
    if (frame->captured > reader->max_frame) {
        return pcap_long(problem, at + 8, reader->max_frame, frame->captured);
    }
    if (!pcap_have(reader, frame->start, frame->captured, problem)) {
        return PCAP_SHORT;
    }
    reader->at = frame->start + frame->captured;
    return PCAP_FRAME;
}

/* ---- pcapng */

/* One block: its length has been read once and lies in the file. */
typedef struct {
    size_t at;
    const uint8_t *data; /* of the block */
    uint32_t size;
    uint32_t type;
} pcap_block;

static pcap_status
pcap_section(pcap_reader *reader, const pcap_block *block,
             pcap_problem *problem)
{
    uint16_t major = pcap_u16(block->data + 12, reader->big);
    if (major != 1) {
        return pcap_wrong(problem, block->at + 12, "pcapng version 1", major);
    }
    reader->count = 0;
    return PCAP_PASSED;
}

static pcap_status
pcap_describe(pcap_reader *reader, const pcap_block *block,
              pcap_problem *problem)
{
    pcap_interface interface = {
        .units = PCAP_BILLION / 1000,
        .link_type = pcap_u16(block->data + 8, reader->big),
        .snaplen = pcap_u32(block->data + 12, reader->big),
    };
    if (reader->count == PCAP_INTERFACES_MAX) {
        return pcap_wrong(problem, block->at, "at most 65536 interfaces",
                          reader->count + 1);
    }
    pcap_status status =
        pcap_options(reader, block->at + 16, block->at + block->size - 4,
                     &interface, problem);
    return status == PCAP_PASSED ? pcap_add_interface(reader, &interface)
                                 : status;
}

/* Lengths of a frame against those of its block, of which `head` bytes come
 * before the frame. `place`: of the frame's length.
 */
static pcap_status
pcap_fit(const pcap_reader *reader, const pcap_block *block, uint32_t head,
         uint32_t place, pcap_frame *frame, pcap_problem *problem)
{
    uint32_t room = block->size - head - 4;
    frame->start = block->at + head;
    if (frame->captured > reader->max_frame || frame->captured > room) {
        uint32_t most = room < reader->max_frame ? room : reader->max_frame;
        return pcap_long(problem, block->at + place, most, frame->captured);
    }
    return PCAP_FRAME;
}

static pcap_status
pcap_packet(const pcap_reader *reader, const pcap_block *block,
            pcap_frame *frame, pcap_problem *problem)
{
    bool big = reader->big;
    uint32_t number = block->type == PCAP_PACKET
                          ? pcap_u32(block->data + 8, big)
                          : pcap_u16(block->data + 8, big);
    if (number >= reader->count) {
        return pcap_wrong(problem, block->at + 8,
                          "the number of an interface described before",
                          number);
    }
    const pcap_interface *interface = &reader->interfaces[number];
    uint64_t ticks = (uint64_t)pcap_u32(block->data + 12, big) << 32
                     | pcap_u32(block->data + 16, big);
    if (!pcap_time(interface, ticks, &frame->time_ns)) {
        return pcap_wrong(problem, block->at + 12,
                          "a time within 292 years of 1970", ticks);
    }
    frame->captured = pcap_u32(block->data + 20, big);
    frame->original = pcap_u32(block->data + 24, big);
    frame->link_type = interface->link_type;
    return pcap_fit(reader, block, 28, 20, frame, problem);
}

/* It has no time, and is as long as the interface's limit and the block let
 * it be.
 */
static pcap_status
pcap_simple_packet(const pcap_reader *reader, const pcap_block *block,
                   pcap_frame *frame, pcap_problem *problem)
{
    if (reader->count == 0) {
        return pcap_wrong(problem, block->at, "an interface described before",
                          0);
    }
    const pcap_interface *interface = reader->interfaces;
    frame->time_ns = 0;
    frame->original = pcap_u32(block->data + 8, reader->big);
    frame->captured = frame->original;
    if (interface->snaplen > 0 && frame->captured > interface->snaplen) {
        frame->captured = interface->snaplen;
    }
    frame->link_type = interface->link_type;
    return pcap_fit(reader, block, 12, 8, frame, problem);
}

/* The block at reader->at, and its section's byte order. PCAP_PASSED when
 * all of it is there.
 */
static pcap_status
pcap_block_read(pcap_reader *reader, pcap_block *block, pcap_problem *problem)
{
    static const struct {
        uint32_t size;
        const char *text;
    } least[] = {
        [0] = {PCAP_BLOCK, "a block length of at least 12"},
        [PCAP_INTERFACE] = {20, "a block length of at least 20"},
        [PCAP_OLD_PACKET] = {32, "a block length of at least 32"},
        [PCAP_SIMPLE_PACKET] = {16, "a block length of at least 16"},
        [PCAP_PACKET] = {32, "a block length of at least 32"},
    };
    size_t at = reader->at;
    if (!pcap_have(reader, at, PCAP_BLOCK, problem)) {
        return PCAP_SHORT;
    }
    *block = (pcap_block){.at = at, .data = reader->data + at};
    block->type = pcap_u32(block->data, reader->big);
    uint32_t which = block->type <= PCAP_PACKET ? block->type : 0;
    uint32_t lowest = least[which].size > 0 ? least[which].size : PCAP_BLOCK;
    const char *text = least[least[which].size > 0 ? which : 0].text;
    if (block->type == PCAP_SECTION) {
        uint32_t order = pcap_u32(block->data + 8, false);
        if (order != PCAP_ORDER && __builtin_bswap32(order) != PCAP_ORDER) {
            return pcap_wrong(problem, at + 8,
                              "the byte-order magic 0x1a2b3c4d", order);
        }
        reader->big = order != PCAP_ORDER;
        lowest = 28;
        text = "a block length of at least 28";
    }
    block->size = pcap_u32(block->data + 4, reader->big);
    if (block->size < lowest) {
        return pcap_wrong(problem, at + 4, text, block->size);
    }
    if (block->size % 4 != 0) {
        return pcap_wrong(problem, at + 4,
                          "a block length in words of 4 bytes", block->size);
    }
    if (!pcap_have(reader, at, block->size, problem)) {
        return PCAP_SHORT;
    }
    uint32_t again = pcap_u32(block->data + block->size - 4, reader->big);
    return again == block->size
               ? PCAP_PASSED
               : pcap_wrong(problem, at + block->size - 4,
                            "the block's length again", again);
}

static pcap_status
pcap_next_block(pcap_reader *reader, pcap_frame *frame, pcap_problem *problem)
{
    if (reader->at == reader->length) {
        return PCAP_END;
    }
    pcap_block block;
    pcap_status status = pcap_block_read(reader, &block, problem);
    if (status != PCAP_PASSED) {
        return status;
    }
    switch (block.type) {
    case PCAP_SECTION:
        status = pcap_section(reader, &block, problem);
        break;
    case PCAP_INTERFACE:
        status = pcap_describe(reader, &block, problem);
        break;
    case PCAP_PACKET:
    case PCAP_OLD_PACKET:
        status = pcap_packet(reader, &block, frame, problem);
        break;
    case PCAP_SIMPLE_PACKET:
        status = pcap_simple_packet(reader, &block, frame, problem);
        break;
    default:
        break;
    }
    if (status == PCAP_PASSED || status == PCAP_FRAME) {
        reader->at += block.size;
    }
    return status;
}

/* The section's head; then what comes before the first frame, up to an
 * interface: without one there is no frame. What is wrong behind the head is
 * for pcap_next to find again.
 */
static pcap_status
pcap_open_ng(pcap_reader *reader, pcap_problem *problem)
{
    pcap_frame frame;
    pcap_problem later;
    reader->ng = true;
    pcap_status status = pcap_next_block(reader, &frame, problem);
    if (status != PCAP_PASSED) {
        return status;
    }
    while (status == PCAP_PASSED && reader->count == 0) {
        status = pcap_next_block(reader, &frame, &later);
    }
    return status == PCAP_NO_MEMORY ? PCAP_NO_MEMORY : PCAP_FRAME;
}

/* ---- both */

pcap_status
pcap_open(pcap_reader *reader, const pcap_host *host, const uint8_t *data,
          size_t length, uint32_t max_frame, pcap_problem *problem)
{
    *reader = (pcap_reader){
        .host = host, .data = data, .length = length, .max_frame = max_frame};
    *problem = (pcap_problem){0};
    if (length < 4) {
        return PCAP_NO_CAPTURE;
    }
    uint32_t magic = pcap_u32(data, false);
    if (magic == PCAP_SECTION) {
        return pcap_open_ng(reader, problem);
    }
    reader->big = (magic & 0xff) == 0xa1;
    magic = pcap_u32(data, reader->big);
    if (magic == 0xa1b2c3d4 || magic == 0xa1b23c4d) {
        return pcap_open_classic(reader, magic == 0xa1b23c4d, problem);
    }
    return PCAP_NO_CAPTURE;
}

pcap_status
pcap_next(pcap_reader *reader, pcap_frame *frame, pcap_problem *problem)
{
    if (!reader->ng) {
        return pcap_next_classic(reader, frame, problem);
    }
    pcap_status status;
    do {
        status = pcap_next_block(reader, frame, problem);
    } while (status == PCAP_PASSED);
    return status;
}

const pcap_interface *
pcap_first(const pcap_reader *reader)
{
    if (!reader->ng) {
        return &reader->first;
    }
    return reader->count > 0 ? reader->interfaces : NULL;
}

void
pcap_close(pcap_reader *reader)
{
    if (reader->interfaces != NULL) {
        reader->host->release(reader->interfaces);
    }
    reader->interfaces = NULL;
    reader->count = reader->room = 0;
    reader->length = reader->at = 0;
}
