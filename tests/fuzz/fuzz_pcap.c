/* SPDX-License-Identifier: MIT
 *
 * libFuzzer driver of pcap_core.c: any bytes as a capture, and bytes that are
 * given the head of one, so that the blocks behind it are reached. Frames lie
 * in the file, one behind another, and the reader always comes to an end.
 */
#include "pcap_core.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const pcap_host host = {realloc, free};

static void
require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void
read_all(const uint8_t *data, size_t size, uint32_t most)
{
    pcap_reader reader;
    pcap_problem problem;
    pcap_frame frame;
    size_t end = 0, steps = 0;
    volatile unsigned seen = 0;
    pcap_status status = pcap_open(&reader, &host, data, size, most, &problem);
    if (status == PCAP_FRAME) {
        const pcap_interface *first = pcap_first(&reader);
        require(first == NULL || first->units > 0);
        while ((status = pcap_next(&reader, &frame, &problem)) == PCAP_FRAME) {
            require(frame.start >= end && frame.captured <= most);
            require(frame.start <= size
                    && frame.captured <= size - frame.start);
            require(++steps <= size / 16);
            for (uint32_t i = 0; i < frame.captured; i++) {
                seen += data[frame.start + i]; /* it can be read */
            }
            end = frame.start + frame.captured;
        }
        require(status != PCAP_NO_CAPTURE);
    }
    else {
        require(status != PCAP_END);
    }
    require(status != PCAP_PASSED && status != PCAP_NO_MEMORY);
    require(status == PCAP_END || problem.offset <= size);
    require(status != PCAP_SHORT || problem.had < problem.wanted);
    require(status != PCAP_LONG || problem.had > problem.wanted);
    require(status != PCAP_WRONG || problem.text != NULL);
    if (status != PCAP_END && status != PCAP_NO_CAPTURE
        && reader.at > 0) { /* it stays where it is */
        size_t at = reader.at;
        require(pcap_next(&reader, &frame, &problem) == status);
        require(reader.at == at);
    }
    pcap_close(&reader);
}

/* The bytes behind a head, in memory that ends with them. */
static void
read_behind(const char *head, size_t head_size, const uint8_t *data,
            size_t size, uint32_t most)
{
    uint8_t *whole = malloc(head_size + size + 1);
    uint8_t *exact;
    if (whole == NULL) {
        abort();
    }
    memcpy(whole, head, head_size);
    if (size > 0) {
        memcpy(whole + head_size, data, size);
    }
    exact = realloc(whole, head_size + size > 0 ? head_size + size : 1);
    if (exact == NULL) {
        abort();
    }
    read_all(exact, head_size + size, most);
    free(exact);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        size_t size;
        const char *text;
    } heads[] = {
        {0, ""},
        {24, "\xd4\xc3\xb2\xa1\2\0\4\0\0\0\0\0\0\0\0\0\xff\xff\0\0\1\0\0\0"},
        {24, "\xa1\xb2\x3c\x4d\0\2\0\4\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0\1"},
        {28, "\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\1\0\0\0"
             "\xff\xff\xff\xff\xff\xff\xff\xff\x1c\0\0\0"},
        {48, "\x0a\x0d\x0d\x0a\0\0\0\x1c\x1a\x2b\x3c\x4d\0\1\0\0"
             "\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x1c"
             "\0\0\0\1\0\0\0\x14\0\1\0\0\0\0\0\x08\0\0\0\x14"},
    };
    uint32_t most = size > 0 ? (uint32_t)data[size - 1] * 16 + 1 : 1;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        read_behind(heads[i].text, heads[i].size, data, size, most);
    }
    return 0;
}
