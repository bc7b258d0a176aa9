/* SPDX-License-Identifier: MIT
 *
 * Tables of the two CRCs, by which 16 bytes are taken at once: table[k][b] is
 * what byte b adds to the sum when k bytes follow it. A CRC is linear, so a
 * row is all sums of the eight numbers of its one-bit bytes, the highest bit
 * first; those are the powers of x modulo the polynomial, from x**32 on in the
 * reflected order of bits, each the one before it shifted by one.
 *
 * For checksum_core.c alone.
 */
#ifndef WIRE_CHECKSUM_TABLES_H
#define WIRE_CHECKSUM_TABLES_H

#include <stdint.h>

#define SPREAD_1(x, a) (x), ((x) ^ (a))
#define SPREAD_2(x, b, a) SPREAD_1(x, a), SPREAD_1((x) ^ (b), a)
#define SPREAD_3(x, c, b, a) SPREAD_2(x, b, a), SPREAD_2((x) ^ (c), b, a)
#define SPREAD_4(x, d, c, b, a)                                               \
    SPREAD_3(x, c, b, a), SPREAD_3((x) ^ (d), c, b, a)
#define SPREAD_5(x, e, d, c, b, a)                                            \
    SPREAD_4(x, d, c, b, a), SPREAD_4((x) ^ (e), d, c, b, a)
#define SPREAD_6(x, f, e, d, c, b, a)                                         \
    SPREAD_5(x, e, d, c, b, a), SPREAD_5((x) ^ (f), e, d, c, b, a)
#define SPREAD_7(x, g, f, e, d, c, b, a)                                      \
    SPREAD_6(x, f, e, d, c, b, a), SPREAD_6((x) ^ (g), f, e, d, c, b, a)
#define ROW(h, g, f, e, d, c, b, a)                                           \
    {SPREAD_7(0U, g, f, e, d, c, b, a), SPREAD_7(h, g, f, e, d, c, b, a)}

/* clang-format off */
/* 0xedb88320: ISO 3309, RFC 1952 */
static const uint32_t crc32_table[16][256] = {
    ROW(0xedb88320, 0x76dc4190, 0x3b6e20c8, 0x1db71064,
        0x0edb8832, 0x076dc419, 0xee0e612c, 0x77073096),
    ROW(0x3b83984b, 0xf0794f05, 0x958424a2, 0x4ac21251,
        0xc8d98a08, 0x646cc504, 0x32366282, 0x191b3141),
    ROW(0xe1351b80, 0x709a8dc0, 0x384d46e0, 0x1c26a370,
        0x0e1351b8, 0x0709a8dc, 0x0384d46e, 0x01c26a37),
    ROW(0xed59b63b, 0x9b14583d, 0xa032af3e, 0x5019579f,
        0xc5b428ef, 0x8f629757, 0xaa09c88b, 0xb8bc6765),
    ROW(0xb1e6b092, 0x58f35849, 0xc1c12f04, 0x60e09782,
        0x30704bc1, 0xf580a6c0, 0x7ac05360, 0x3d6029b0),
    ROW(0x1eb014d8, 0x0f580a6c, 0x07ac0536, 0x03d6029b,
        0xec53826d, 0x9b914216, 0x4dc8a10b, 0xcb5cd3a5),
    ROW(0x8816eaf2, 0x440b7579, 0xcfbd399c, 0x67de9cce,
        0x33ef4e67, 0xf44f2413, 0x979f1129, 0xa6770bb4),
    ROW(0x533b85da, 0x299dc2ed, 0xf9766256, 0x7cbb312b,
        0xd3e51bb5, 0x844a0efa, 0x4225077d, 0xccaa009e),
    ROW(0x6655004f, 0xde920307, 0x82f182a3, 0xacc04271,
        0xbbd8a218, 0x5dec510c, 0x2ef62886, 0x177b1443),
    ROW(0xe6050901, 0x9eba07a0, 0x4f5d03d0, 0x27ae81e8,
        0x13d740f4, 0x09eba07a, 0x04f5d03d, 0xefc26b3e),
    ROW(0x77e1359f, 0xd64819ef, 0x869c8fd7, 0xaef6c4cb,
        0xbac3e145, 0xb0d97382, 0x586cb9c1, 0xc18edfc0),
    ROW(0x60c76fe0, 0x3063b7f0, 0x1831dbf8, 0x0c18edfc,
        0x060c76fe, 0x03063b7f, 0xec3b9e9f, 0x9ba54c6f),
    ROW(0xa06a2517, 0xbd8d91ab, 0xb37e4bf5, 0xb407a6da,
        0x5a03d36d, 0xc0b96a96, 0x605cb54b, 0xdd96d985),
    ROW(0x8373efe2, 0x41b9f7f1, 0xcd6478d8, 0x66b23c6c,
        0x33591e36, 0x19ac8f1b, 0xe16ec4ad, 0x9d0fe176),
    ROW(0x4e87f0bb, 0xcafb7b7d, 0x88c53e9e, 0x44629f4f,
        0xcf89cc87, 0x8a7c6563, 0xa886b191, 0xb9fbdbe8),
    ROW(0x5cfdedf4, 0x2e7ef6fa, 0x173f7b7d, 0xe6273e9e,
        0x73139f4f, 0xd4314c87, 0x87a02563, 0xae689191),
};

/* 0x82f63b78: Castagnoli; RFC 3720 */
static const uint32_t crc32c_table[16][256] = {
    ROW(0x82f63b78, 0x417b1dbc, 0x20bd8ede, 0x105ec76f,
        0x8ad958cf, 0xc79a971f, 0xe13b70f7, 0xf26b8303),
    ROW(0xfbc3faf9, 0xff17c604, 0x7f8be302, 0x3fc5f181,
        0x9d14c3b8, 0x4e8a61dc, 0x274530ee, 0x13a29877),
    ROW(0x8b277743, 0xc76580d9, 0xe144fb14, 0x70a27d8a,
        0x38513ec5, 0x9edea41a, 0x4f6f520d, 0xa541927e),
    ROW(0x52a0c93f, 0xaba65fe7, 0xd725148b, 0xe964b13d,
        0xf64463e6, 0x7b2231f3, 0xbf672381, 0xdd45aab8),
    ROW(0x6ea2d55c, 0x37516aae, 0x1ba8b557, 0x8f2261d3,
        0xc5670b91, 0xe045beb0, 0x7022df58, 0x38116fac),
    ROW(0x1c08b7d6, 0x0e045beb, 0x85f4168d, 0xc00c303e,
        0x6006181f, 0xb2f53777, 0xdb8ca0c3, 0xef306b19),
    ROW(0xf56e0ef4, 0x7ab7077a, 0x3d5b83bd, 0x9c5bfaa6,
        0x4e2dfd53, 0xa5e0c5d1, 0xd0065990, 0x68032cc8),
    ROW(0x34019664, 0x1a00cb32, 0x0d006599, 0x847609b4,
        0x423b04da, 0x211d826d, 0x9278fa4e, 0x493c7d27),
    ROW(0xa66805eb, 0xd1c2398d, 0xea1727be, 0x750b93df,
        0xb873f297, 0xdecfc233, 0xed91da61, 0xf43ed648),
    ROW(0x7a1f6b24, 0x3d0fb592, 0x1e87dac9, 0x8db5d61c,
        0x46daeb0e, 0x236d7587, 0x934081bb, 0xcb567ba5),
    ROW(0xe75d06aa, 0x73ae8355, 0xbb217ad2, 0x5d90bd69,
        0xac3e65cc, 0x561f32e6, 0x2b0f9973, 0x9771f7c1),
    ROW(0xc94ec098, 0x64a7604c, 0x3253b026, 0x1929d813,
        0x8e62d771, 0xc5c750c0, 0x62e3a860, 0x3171d430),
    ROW(0x18b8ea18, 0x0c5c750c, 0x062e3a86, 0x03171d43,
        0x837db5d9, 0xc348e194, 0x61a470ca, 0x30d23865),
    ROW(0x9a9f274a, 0x4d4f93a5, 0xa451f2aa, 0x5228f955,
        0xabe247d2, 0x55f123e9, 0xa80eaa8c, 0x54075546),
    ROW(0x2a03aaa3, 0x97f7ee29, 0xc90dcc6c, 0x6486e636,
        0x3243731b, 0x9bd782f5, 0xcf1dfa02, 0x678efd01),
    ROW(0xb13145f8, 0x5898a2fc, 0x2c4c517e, 0x162628bf,
        0x89e52f27, 0xc604aceb, 0xe1f46d0d, 0xf20c0dfe),
};
/* clang-format on */

#endif
