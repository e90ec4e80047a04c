/* check.h: a harness in a few lines: CHECK counts and reports, check_summary ends the program. */
#ifndef CHECK_H
#define CHECK_H

#include <stdatomic.h>
#include <stdio.h>

static atomic_ulong checks_passed, checks_failed; /* threads check, too */

#define CHECK(condition, ...)                                      \
    do {                                                           \
        if (condition) {                                           \
            checks_passed++;                                       \
        } else if (checks_failed++ < 20) {                         \
            printf("%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            printf(__VA_ARGS__);                                   \
            printf("\n");                                          \
        }                                                          \
    } while (0)

static int check_summary(void) {
    printf("%lu passed, %lu failed\n", checks_passed, checks_failed);
    return checks_failed == 0 ? 0 : 1;
}

#endif
