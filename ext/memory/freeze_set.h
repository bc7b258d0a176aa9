/* SPDX-License-Identifier: MIT
 *
 * A stack and a set of pointers in mapped pages of their own: growing them
 * must not disturb the heaps that are being frozen, and freeing them must not
 * leave holes there.
 */
#ifndef FREEZE_SET_H
#define FREEZE_SET_H

#include "compat.h"

#include <sys/mman.h>

typedef struct freeze_stack {
    void **items;
    size_t count, room;
} freeze_stack;

typedef struct {
    void **slots; /* NULL: free; a power of two of them, at most half full */
    size_t count, room;
} freeze_set;

static inline void *
freeze_map(size_t slots)
{
    void *at = mmap(NULL, slots * sizeof(void *), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static inline void
freeze_unmap(void *at, size_t slots)
{
    if (at != NULL) {
        (void)munmap(at, slots * sizeof(void *));
    }
}

static inline bool
freeze_push(freeze_stack *stack, void *item)
{
    if (stack->count == stack->room) {
        size_t room = stack->room != 0 ? stack->room * 2 : 1 << 14;
        void **items = freeze_map(room);
        if (items == NULL) {
            return false;
        }
        for (size_t i = 0; i < stack->count; i++) {
            items[i] = stack->items[i];
        }
        freeze_unmap(stack->items, stack->room);
        stack->items = items;
        stack->room = room;
    }
    stack->items[stack->count++] = item;
    return true;
}

static inline size_t
freeze_slot(const void *item, size_t room)
{
    uint64_t mixed = ((uint64_t)(uintptr_t)item >> 4) * 0x9E3779B97F4A7C15u;
    return (size_t)(mixed >> 24) & (room - 1);
}

static inline bool
freeze_set_grow(freeze_set *set)
{
    size_t room = set->room != 0 ? set->room * 2 : 1 << 14;
    void **slots = freeze_map(room);
    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < set->room; i++) {
        if (set->slots[i] != NULL) {
            size_t at = freeze_slot(set->slots[i], room);
            while (slots[at] != NULL) {
                at = (at + 1) & (room - 1);
            }
            slots[at] = set->slots[i];
        }
    }
    freeze_unmap(set->slots, set->room);
    set->slots = slots;
    set->room = room;
    return true;
}

/* 1: added; 0: it was there; -1: no memory */
static inline int
freeze_set_add(freeze_set *set, void *item)
{
    if ((set->count + 1) * 2 > set->room && !freeze_set_grow(set)) {
        return -1;
    }
    size_t at = freeze_slot(item, set->room);
    while (set->slots[at] != NULL) {
        if (set->slots[at] == item) {
            return 0;
        }
        at = (at + 1) & (set->room - 1);
    }
    set->slots[at] = item;
    set->count++;
    return 1;
}

static inline void
freeze_set_clear(freeze_set *set)
{
    if (set->count > 0) {
        memset(set->slots, 0, set->room * sizeof(void *));
        set->count = 0;
    }
}

/* The slot of an item, or -1. */
static inline ptrdiff_t
freeze_set_find(const freeze_set *set, const void *item)
{
    if (set->count == 0) {
        return -1;
    }
    size_t at = freeze_slot(item, set->room);
    while (set->slots[at] != NULL) {
        if (set->slots[at] == item) {
            return (ptrdiff_t)at;
        }
        at = (at + 1) & (set->room - 1);
    }
    return -1;
}

static inline bool
freeze_set_has(const freeze_set *set, const void *item)
{
    return freeze_set_find(set, item) >= 0;
}

#endif
