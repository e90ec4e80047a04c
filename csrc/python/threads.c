/* threads.c: how many threads a call may use, and the pool of workers that all networks of the process share. Used with the
 * GIL held. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "wrapper.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

/* ---- How many. */

/* The processors this process may run on. */
static size_t usable_processors(void) {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return (size_t)CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
}

/* What a cgroup lets this process use of them, in whole processors; no limit: SIZE_MAX. */
static size_t cgroup_limit(void) {
    double quota = 0, period = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r"); /* version 2: "max 100000" or "150000 100000" */
    if (file != NULL) {
        int read = fscanf(file, "%lf %lf", &quota, &period);
        (void)fclose(file);
        if (read != 2) return SIZE_MAX;
    } else {
        FILE *quota_file = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "r"); /* version 1; -1: none */
        FILE *period_file = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "r");
        bool read = quota_file != NULL && period_file != NULL && fscanf(quota_file, "%lf", &quota) == 1 &&
                    fscanf(period_file, "%lf", &period) == 1;
        if (quota_file != NULL) (void)fclose(quota_file);
        if (period_file != NULL) (void)fclose(period_file);
        if (!read) return SIZE_MAX;
    }
    if (!(quota > 0 && period > 0)) return SIZE_MAX;
    return quota < period ? 1 : (size_t)(quota / period + 0.5);
}

/* A positive whole number from the environment, the first of a list; SIZE_MAX: not set, or no such number. */
static size_t from_environment(const char *name) {
    const char *text = getenv(name);
    char *end;
    if (text == NULL) return SIZE_MAX;
    long n = strtol(text, &end, 10);
    return end != text && (*end == '\0' || *end == ',') && n > 0 ? (size_t)n : SIZE_MAX;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

size_t default_threads(void) {
    size_t asked = smaller(from_environment("MLPC_NUM_THREADS"), from_environment("OMP_NUM_THREADS"));
    return asked != SIZE_MAX ? asked : smaller(usable_processors(), cgroup_limit());
}

/* ---- The pool. */
mlp_pool *get_pool(module_state *state) {
    if (state->pool != NULL && state->pool_owner != getpid()) state->pool = NULL; /* its threads did not survive fork */
    if (state->pool == NULL && !state->ended) {
        state->pool = mlp_pool_create();
        state->pool_owner = getpid();
    }
    return state->pool; /* NULL: this thread alone */
}

void end_pool(module_state *state) {
    if (state->pool != NULL && state->pool_owner == getpid()) mlp_pool_destroy(state->pool);
    state->pool = NULL;
    state->ended = true;
}
