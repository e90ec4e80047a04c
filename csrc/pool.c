/* pool.c: worker threads that share the tasks of one region at a time; but for memory.c the only file of the core that
 * asks the operating system for anything. Which thread runs a task changes nothing: tasks are cut by shape and write to
 * places of their own. */
#ifdef __linux__
#define _GNU_SOURCE /* which processors a thread may run on */
#else
#define _POSIX_C_SOURCE 200809L
#endif
#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

/* A worker that finds nothing to do looks around this often, about 100 us, before it sleeps: the regions of a step
 * follow each other within a few. Now and then who looks makes way: the thread it waits for may be waiting for this
 * processor. */
enum { LOOKS = 4000, LOOKS_A_YIELD = 64 };

typedef struct {
    mlp_pool *pool;
    size_t number; /* from 1: its thread of the regions that it works in */
    pthread_t thread;
    atomic_bool asleep;
    pthread_cond_t wake; /* its own: a region wakes those alone that it has a place for */
#ifdef __linux__
    bool displaced;       /* it is to wake on another processor than its caller's */
    cpu_set_t processors; /* its own, while it is displaced */
#endif
} worker;

/* A thread's own tasks of a region, in a row: what it read and wrote in the last regions is near it. When it has none
 * left it does those of others. As one number, so that taking one is one atomic step: how many of them nobody has
 * begun, and how many threads the region has, the first ones, which alone may take them. There are none between
 * regions. */
typedef struct {
    _Atomic uint64_t tasks;
    char apart[120]; /* threads write to these all the time */
} queue;

enum { THREADS_SHIFT = 48 };

static size_t left_of(uint64_t tasks) { return (size_t)(tasks & ((UINT64_C(1) << THREADS_SHIFT) - 1)); }

static size_t threads_of(uint64_t tasks) { return (size_t)(tasks >> THREADS_SHIFT); }

struct mlp_pool {
    size_t n_processors;
    size_t forks;          /* before it: a child has the pool, but none of its threads */
    atomic_size_t callers; /* threads that compute, of those that say so */
    atomic_bool busy;      /* a region is running; others run theirs on their own thread */
    char apart[120];       /* from what workers look at */
    atomic_bool ending;
    mlp_task task; /* of the region, and what follows: who has taken one of its tasks may read them */
    void *context;
    size_t n_tasks, n_threads;
    char far_apart[120];
    atomic_size_t left; /* tasks that are not done */
    char farther_apart[120];
    pthread_mutex_t mutex; /* of going to sleep and waking */
    size_t n_workers;
    worker workers[MLP_MOST_THREADS - 1];
    queue queues[MLP_MOST_THREADS];
};

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* The next look at something that another thread is about to change. True: it made way. */
static bool look_again(size_t looks) {
    bool makes_way = (looks + 1) % LOOKS_A_YIELD == 0;
    if (makes_way) {
        sched_yield();
    } else {
        relax();
    }
    return makes_way;
}

/* The same. True: another thread took this processor for a whole turn of the scheduler. A worker that went on making
 * way would be given it for a few looks between such turns, and never while there is work; asleep, it is woken for
 * that, on another processor if there is one. */
static bool is_crowded(size_t looks) {
    static const double long_turn = 1e-3; /* seconds */
    double before = (looks + 1) % LOOKS_A_YIELD == 0 ? mlp_seconds() : 0;
    return look_again(looks) && mlp_seconds() - before > long_turn;
}

static size_t first_task(size_t owner, size_t n_threads, size_t n_tasks) {
    size_t more = n_tasks % n_threads; /* the first ones have one more */
    return n_tasks / n_threads * owner + (owner < more ? owner : more);
}

static void run_queue(mlp_pool *pool, size_t owner, size_t thread) {
    queue *q = &pool->queues[owner];
    size_t done = 0;
    uint64_t tasks = atomic_load_explicit(&q->tasks, memory_order_acquire);
    while (left_of(tasks) > 0 && thread < threads_of(tasks)) {
        if (atomic_compare_exchange_weak_explicit(&q->tasks, &tasks, tasks - 1, memory_order_acq_rel,
                                                  memory_order_acquire)) {
            size_t end = first_task(owner + 1, pool->n_threads, pool->n_tasks);
            pool->task(pool->context, end - left_of(tasks), thread);
            done++;
            tasks = atomic_load_explicit(&q->tasks, memory_order_acquire);
        }
    }
    if (done > 0) { /* not before: until then the region lasts */
        atomic_fetch_sub_explicit(&pool->left, done, memory_order_release);
    }
}

/* Of a region of so many threads. */
static void run_queues(mlp_pool *pool, size_t thread, size_t n_threads) {
    for (size_t k = 0; k < n_threads; k++) {
        run_queue(pool, (thread + k) % n_threads, thread);
    }
}

/* The threads of the region that has tasks for this worker; 0: none has. */
static size_t region_of(const worker *w) {
    uint64_t tasks = atomic_load_explicit(&w->pool->queues[w->number].tasks, memory_order_acquire);
    return left_of(tasks) > 0 ? threads_of(tasks) : 0;
}

/* Linux takes processors that have just been busy, as ours have, for unfit to be woken on: it may put a worker on that
 * of the thread which wakes it, and leave it there for ten milliseconds, waiting for its turn. So a sleeper loses that
 * processor until it wakes. */
static void displace(worker *w) {
#ifdef __linux__
    int here = sched_getcpu();
    bool known = w->displaced || pthread_getaffinity_np(w->thread, sizeof w->processors, &w->processors) == 0;
    if (here < 0 || here >= CPU_SETSIZE || !known) {
        return;
    }
    cpu_set_t others = w->processors;
    CPU_CLR((size_t)here, &others);
    if (CPU_COUNT(&others) > 0 && pthread_setaffinity_np(w->thread, sizeof others, &others) == 0) {
        w->displaced = true;
    }
#else
    (void)w;
#endif
}

static void settle(worker *w) {
#ifdef __linux__
    if (w->displaced) {
        w->displaced = pthread_setaffinity_np(w->thread, sizeof w->processors, &w->processors) != 0;
    }
#else
    (void)w;
#endif
}

static void fall_asleep(worker *w) {
    mlp_pool *pool = w->pool;
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&w->asleep, true);
    /* No loop: who wakes too late for one region looks out for the next. */
    if (!atomic_load(&pool->ending) && region_of(w) == 0) {
        pthread_cond_wait(&w->wake, &pool->mutex);
        settle(w);
    }
    atomic_store(&w->asleep, false);
    pthread_mutex_unlock(&pool->mutex);
}

/* A worker that falls asleep just now may be overlooked: others do its tasks, and the next region that wakes workers
 * wakes it. At the end nobody is, as `ending` and `asleep` are seen by all threads in one order. */
static void wake(mlp_pool *pool, size_t n) {
    for (worker *w = pool->workers; w < pool->workers + n; w++) {
        if (atomic_load(&w->asleep)) {
            pthread_mutex_lock(&pool->mutex);
            if (atomic_load(&w->asleep)) {
                displace(w);
                pthread_cond_signal(&w->wake);
            }
            pthread_mutex_unlock(&pool->mutex);
        }
    }
}

static void *work(void *argument) {
    worker *w = argument;
    bool has_place = false; /* its last region had no more threads than there are processors */
    while (!atomic_load_explicit(&w->pool->ending, memory_order_relaxed)) {
        size_t n_threads = region_of(w);
        for (size_t looks = 0; looks < LOOKS && n_threads == 0; looks++) {
            if (is_crowded(looks) && has_place) {
                break;
            }
            n_threads = region_of(w);
        }
        if (n_threads > 0) {
            run_queues(w->pool, w->number, n_threads);
            has_place = n_threads <= w->pool->n_processors;
        } else {
            fall_asleep(w);
        }
    }
    return NULL;
}

/* ---- Forks, told by a handler: asking for the process's number would cost a third of a region. */
static atomic_size_t forks;
static bool watched;

static void count_fork(void) { atomic_fetch_add_explicit(&forks, 1, memory_order_relaxed); }

static void watch(void) { watched = pthread_atfork(NULL, NULL, count_fork) == 0; }

bool mlp_watch_forks(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    return pthread_once(&once, watch) == 0 && watched;
}

size_t mlp_forks(void) { return atomic_load_explicit(&forks, memory_order_relaxed); }

/* ---- Pools. */
mlp_pool *mlp_pool_create(size_t n_processors) {
    mlp_pool *pool = mlp_watch_forks() ? calloc(1, sizeof *pool) : NULL;
    if (pool == NULL) {
        return NULL;
    }
    if (pthread_mutex_init(&pool->mutex, NULL) != 0) {
        free(pool);
        return NULL;
    }
    pool->n_processors = n_processors == 0 ? 1 : n_processors < MLP_MOST_THREADS ? n_processors : MLP_MOST_THREADS;
    pool->forks = mlp_forks();
    return pool;
}

void mlp_pool_destroy(mlp_pool *pool) {
    if (pool == NULL) {
        return;
    }
    atomic_store(&pool->ending, true);
    wake(pool, pool->n_workers);
    for (size_t i = 0; i < pool->n_workers; i++) {
        pthread_join(pool->workers[i].thread, NULL);
        pthread_cond_destroy(&pool->workers[i].wake);
    }
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

/* Threads that cannot be started are done without. Signals are for the threads of the caller. */
static size_t hire(mlp_pool *pool, size_t n) {
    sigset_t all, before;
    n = n < MLP_MOST_THREADS - 1 ? n : MLP_MOST_THREADS - 1;
    if (pool->n_workers >= n || sigfillset(&all) != 0 || pthread_sigmask(SIG_SETMASK, &all, &before) != 0) {
        return n < pool->n_workers ? n : pool->n_workers;
    }
    for (worker *w = &pool->workers[pool->n_workers]; pool->n_workers < n; w++, pool->n_workers++) {
        *w = (worker){.pool = pool, .number = pool->n_workers + 1};
        if (pthread_cond_init(&w->wake, NULL) != 0) {
            break;
        }
        if (pthread_create(&w->thread, NULL, work, w) != 0) {
            pthread_cond_destroy(&w->wake);
            break;
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return n < pool->n_workers ? n : pool->n_workers;
}

void mlp_pool_enter(mlp_pool *pool) { atomic_fetch_add_explicit(&pool->callers, 1, memory_order_relaxed); }

void mlp_pool_leave(mlp_pool *pool) { atomic_fetch_sub_explicit(&pool->callers, 1, memory_order_relaxed); }

/* More threads than this for a processor only get in each other's way. */
enum { MOST_A_PROCESSOR = 8 };

size_t mlp_pool_limit(const mlp_pool *pool) {
    size_t most = MOST_A_PROCESSOR * pool->n_processors;
    return most < MLP_MOST_THREADS ? most : MLP_MOST_THREADS;
}

/* With others at work, a caller's part of the processors. */
static size_t fair_share(mlp_pool *pool, size_t n_threads) {
    size_t most = mlp_pool_limit(pool);
    n_threads = n_threads < most ? n_threads : most;
    size_t callers = atomic_load_explicit(&pool->callers, memory_order_relaxed);
    if (callers <= 1) {
        return n_threads;
    }
    size_t share = pool->n_processors / callers;
    return share < n_threads ? share : n_threads;
}

void mlp_parallel(mlp_pool *pool, size_t n_threads, bool wakes, size_t n_tasks, mlp_task task, void *context) {
    n_threads = pool != NULL && n_tasks > 1 && n_threads > 1 ? fair_share(pool, n_threads) : 1;
    n_threads = n_threads < n_tasks ? n_threads : n_tasks;
    if (n_threads <= 1 || pool->forks != mlp_forks() ||
        atomic_exchange_explicit(&pool->busy, true, memory_order_acquire)) {
        for (size_t t = 0; t < n_tasks; t++) {
            task(context, t, 0);
        }
        return;
    }
    size_t n_workers = n_threads - 1 < pool->n_workers ? n_threads - 1 : pool->n_workers;
    n_workers = wakes ? hire(pool, n_threads - 1) : n_workers;
    n_threads = n_workers + 1;
    pool->task = task;
    pool->context = context;
    pool->n_tasks = n_tasks;
    pool->n_threads = n_threads;
    atomic_store_explicit(&pool->left, n_tasks - 1, memory_order_relaxed);
    for (size_t i = 0; i < n_threads; i++) {
        uint64_t first = first_task(i, n_threads, n_tasks) + (i == 0), end = first_task(i + 1, n_threads, n_tasks);
        atomic_store_explicit(&pool->queues[i].tasks, (uint64_t)n_threads << THREADS_SHIFT | (end - first),
                              memory_order_release);
    }
    if (wakes) {
        wake(pool, n_workers);
    }
    task(context, 0, 0); /* its own first one is not in the queue: it need not wait until the others have seen theirs */
    run_queues(pool, 0, n_threads);
    for (size_t looks = 0; atomic_load_explicit(&pool->left, memory_order_acquire) > 0; looks++) {
        if (look_again(looks) && pool->forks != mlp_forks()) {
            return; /* a task has forked: here the others have nobody to complete them */
        }
    }
    atomic_store_explicit(&pool->busy, false, memory_order_release);
}

void mlp_await(const atomic_size_t *value, size_t least, const atomic_bool *stop) {
    for (size_t looks = 0;
         atomic_load_explicit(value, memory_order_acquire) < least && !atomic_load_explicit(stop, memory_order_relaxed);
         looks++) {
        look_again(looks);
    }
}

double mlp_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
