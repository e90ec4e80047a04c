/* pool.h: regions of work shared by threads. See pool.c. */
#ifndef MLP_POOL_H
#define MLP_POOL_H

#include "mlp.h"

#include <stdatomic.h>

enum { MLP_MOST_THREADS = 1024 }; /* of a region */

/* Task t of a region; thread: from 0, below the region's n_threads, the same for all tasks that a thread runs in it. */
typedef void (*mlp_task)(void *context, size_t t, size_t thread);

/* Runs tasks 0..n_tasks-1, each once, on this thread and up to n_threads - 1 workers; returns when all are done. This
 * thread runs task 0, and those that it begins in their order, so that a task may await ones before it.
 * Without a pool, or while another region has its workers, this thread runs them all. Workers that sleep take part, and
 * those that do not exist yet are started, where it wakes them. */
void mlp_parallel(mlp_pool *pool, size_t n_threads, bool wakes, size_t n_tasks, mlp_task task, void *context);

size_t mlp_pool_limit(const mlp_pool *pool); /* threads that a region has at most, whatever it asks for */

/* Waits until the value is so large, or stop is set. Who waits must know that another thread is at it. */
void mlp_await(const atomic_size_t *value, size_t least, const atomic_bool *stop);

/* Since some moment. */
double mlp_seconds(void);

#endif
