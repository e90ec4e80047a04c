/* threads.c: how many threads a call may use, and the pool of workers that all networks of the process share. Used with
 * the GIL held. */
#include "wrapper.h"

#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
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

/* The first two numbers of a group's file; what is no number ("max") or not there is 0. */
static void read_numbers(const char *group, const char *name, double numbers[2]) {
    char path[PATH_MAX], text[64] = "", *at = text;
    int length = snprintf(path, sizeof path, "%s/%s", group, name);
    FILE *file = length > 0 && (size_t)length < sizeof path ? fopen(path, "r") : NULL;
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

/* What a control group lets its processes use of the processors; no limit, or no such group: infinity. */
static double quota(const char *group) {
    double v2[2] = {0}, used[2] = {0}, period[2] = {0};
    read_numbers(group, "cpu.max", v2); /* "150000 100000" */
    read_numbers(group, "cpu.cfs_quota_us", used);
    read_numbers(group, "cpu.cfs_period_us", period);
    return v2[0] > 0 && v2[1] > 0 ? v2[0] / v2[1] : used[0] > 0 && period[0] > 0 ? used[0] / period[0] : HUGE_VAL;
}

/* Behind the root of version 2, this process's group. In a container the name may be one from outside: then there is
 * no such group, and the root counts. */
static void find_group(char group[PATH_MAX], size_t root) {
    char line[PATH_MAX] = "";
    FILE *file = fopen("/proc/self/cgroup", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        size_t length = strcspn(line, "\n");
        if (strncmp(line, "0::/", 4) == 0 && root + length < PATH_MAX) {
            memcpy(group + root, line + 3, length - 3);
            group[root + length - 3] = '\0';
        }
    }
    if (file != NULL) (void)fclose(file);
}

/* The least that this process's groups allow, from its own up to the root, in whole processors; no limit: SIZE_MAX. */
static size_t cgroup_limit(void) {
    char group[PATH_MAX] = "/sys/fs/cgroup";
    const size_t root = strlen(group);
    double least = quota("/sys/fs/cgroup/cpu"); /* version 1 */
    find_group(group, root);
    for (char *end = group + strlen(group); end != NULL && end >= group + root; end = strrchr(group, '/')) {
        *end = '\0';
        least = fmin(least, quota(group));
    }
    return isinf(least) ? SIZE_MAX : least < 1 ? 1 : (size_t)(least + 0.5);
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
    const char *own = getenv("MLPC_NUM_THREADS");
    size_t asked = from_environment("MLPC_NUM_THREADS");
    if (asked == SIZE_MAX && own != NULL && *own != '\0') {
        PyErr_Format(PyExc_ImportError, "MLPC_NUM_THREADS must be a positive integer, got '%s'", own);
        return 0;
    }
    asked = smaller(asked, from_environment("OMP_NUM_THREADS")); /* this one has other readers, and rules of its own */
    return asked != SIZE_MAX ? asked : smaller(usable_processors(), cgroup_limit());
}

/* ---- The pool. */
mlp_pool *get_pool(module_state *state) {
    if (state->pool != NULL && state->pool_forks != mlp_forks()) {
        state->pool = NULL; /* its threads did not survive fork; nor did those that used it, but for this one */
        state->pool_users = 0;
    }
    if (state->pool == NULL && !state->ended) {
        state->pool = mlp_pool_create(state->n_threads);
        state->pool_forks = mlp_forks();
    }
    return state->pool; /* NULL: this thread alone */
}

void end_pool(module_state *state) {
    /* A daemon thread may still be in a call: then the workers end with the process. */
    if (state->pool != NULL && state->pool_forks == mlp_forks() && state->pool_users == 0)
        mlp_pool_destroy(state->pool);
    state->pool = NULL;
    state->ended = true;
}
