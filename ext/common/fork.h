/* SPDX-License-Identifier: MIT
 *
 * Which process is this? A child made by fork() has its parent's memory, and
 * must not take what it finds there for its own.
 */
#ifndef FE_FORK_H
#define FE_FORK_H

#include <stdint.h>

/* How many forks lie between the process that loaded this extension and the
 * running one. It belongs to the process, not to an interpreter, so it is a
 * static. The child's side of pthread_atfork() counts: it sees forks by C code
 * that never tells Python, and costs one load to read (getpid() is a system
 * call).
 */
extern uint32_t fe_fork_depth;

/* Count forks from now on; again is harmless. 0, or -1 with MemoryError */
int fe_fork_watch(void);

#endif
