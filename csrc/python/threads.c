/* threads.c: how many threads a call may use, and the pool of workers that all networks of the process share. Used with
 * the GIL held. */
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

/* The first two numbers of a file; what is no number ("max") or not there is 0. */
static void read_numbers(const char *path, double numbers[2]) {
    char text[64] = "", *at = text;
    FILE *file = fopen(path, "r");
    if (file == NULL) return;
    if (fgets(text, sizeof text, file) != NULL) {
        for (int i = 0; i < 2; i++) {
            char *end;
            numbers[i] = strtod(at, &end);
            at = end;
        }
    }
    (void)fclose(file);
}

/* What a cgroup lets this process use of them, in whole processors; no limit: SIZE_MAX. */
static size_t cgroup_limit(void) {
    double v2[2] = {0}, quota[2] = {0}, period[2] = {0};
    read_numbers("/sys/fs/cgroup/cpu.max", v2); /* "150000 100000" */
    read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota);
    read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period);
    double n = v2[0] > 0 && v2[1] > 0 ? v2[0] / v2[1] : quota[0] > 0 && period[0] > 0 ? quota[0] / period[0] : 0;
    return n <= 0 ? SIZE_MAX : n < 1 ? 1 : (size_t)(n + 0.5);
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
    if (state->pool != NULL && state->pool_owner != getpid()) {
        state->pool = NULL; /* its threads did not survive fork; nor did those that used it, but for this one */
        state->pool_users = 0;
    }
    if (state->pool == NULL && !state->ended) {
        state->pool = mlp_pool_create(state->n_threads);
        state->pool_owner = getpid();
    }
    return state->pool; /* NULL: this thread alone */
}

void end_pool(module_state *state) {
    /* A daemon thread may still be in a call: then the workers end with the process. */
    if (state->pool != NULL && state->pool_owner == getpid() && state->pool_users == 0) mlp_pool_destroy(state->pool);
    state->pool = NULL;
    state->ended = true;
}
