/* SPDX-License-Identifier: MIT
 *
 * Frames of capture files, classic (libpcap) and pcapng, one after another
 * from bytes in memory. No Python; the bytes are the caller's, and each is
 * read once, so that memory which changes meanwhile cannot lead outside.
 */
#ifndef WIRE_PCAP_CORE_H
#define WIRE_PCAP_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* in one section of a pcapng file */
#define PCAP_INTERFACES_MAX 65536

typedef struct {
    uint64_t units; /* of its timestamps in a second */
    int64_t since;  /* seconds to add to them */
    uint32_t link_type;
    uint32_t snaplen; /* 0: no limit */
} pcap_interface;

/* How memory is got and given back, as realloc and free do. */
typedef struct {
    void *(*resize)(void *, size_t);
    void (*release)(void *);
} pcap_host;

typedef struct {
    const pcap_host *host;
    const uint8_t *data;
    size_t length;
    size_t at;          /* of the next frame or block */
    uint32_t max_frame; /* no frame is longer */
    bool ng;            /* pcapng */
    bool big;           /* byte order of the file or section */
    uint32_t count, room;
    pcap_interface *interfaces; /* owned: of the section; pcapng only */
    pcap_interface first;       /* classic: what all frames have */
} pcap_reader;

typedef struct {
    size_t start; /* of its bytes */
    int64_t time_ns;
    uint32_t captured, original, link_type;
} pcap_frame;

typedef enum {
    PCAP_END,
    PCAP_FRAME,
    PCAP_NO_CAPTURE, /* the first bytes are of no known format */
    PCAP_SHORT,      /* wanted bytes, had fewer */
    PCAP_LONG,       /* wanted at most so many bytes, had more */
    PCAP_WRONG,      /* wanted what the text says, had the number */
    PCAP_NO_MEMORY,
    PCAP_PASSED, /* inside only: a block without a frame */
} pcap_status;

/* What is wrong, and where. */
typedef struct {
    size_t offset;
    uint64_t wanted, had;
    const char *text;
} pcap_problem;

/* Begin: PCAP_FRAME, or what is wrong. To be closed in any case. */
pcap_status pcap_open(pcap_reader *reader, const pcap_host *host,
                      const uint8_t *data, size_t length, uint32_t max_frame,
                      pcap_problem *problem);
/* The next frame, PCAP_END, or what is wrong; then the reader stays there. */
pcap_status pcap_next(pcap_reader *reader, pcap_frame *frame,
                      pcap_problem *problem);
/* What the file, or its first interface, says of all frames; NULL: nothing,
 * or not yet. */
const pcap_interface *pcap_first(const pcap_reader *reader);
void pcap_close(pcap_reader *reader);

#endif
