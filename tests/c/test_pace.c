/* test_pace.c: the choice between shared steps and steps on one thread, from how long they are said to have taken. */
#include "check.h"
#include "training.h"

enum { THREADS = 2 };

/* Steps of so many seconds, shared or alone, for `seconds` in all; how many seconds were shared ones. */
static double make_steps(mlp_pace *p, double seconds, double shared, double alone) {
    double of_shared = 0;
    for (double left = seconds; left > 0;) {
        bool shares = mlp_pace_threads(p) == THREADS;
        double took = shares ? shared : alone;
        mlp_pace_step(p, took);
        of_shared += shares ? took : 0;
        left -= took;
    }
    return of_shared;
}

static void test_the_faster_way(double shared, double alone) {
    mlp_pace p = {0};
    mlp_pace_begin(&p, THREADS, 32);
    CHECK(mlp_pace_threads(&p) == THREADS, "the first step is shared");
    make_steps(&p, 0.25, shared, alone);
    double seconds = 20, of_shared = make_steps(&p, seconds, shared, alone);
    double others = shared < alone ? seconds - of_shared : of_shared;
    CHECK(others > 0, "the other way is never tried");
    CHECK(others < 0.1 * seconds, "%g s and %g s: %g s of %g are shared", shared, alone, of_shared, seconds);
}

static void test_it_is_found_out_soon(void) {
    mlp_pace p = {0};
    mlp_pace_begin(&p, THREADS, 32);
    make_steps(&p, 0.04, 300e-6, 200e-6);
    CHECK(mlp_pace_threads(&p) == 1, "sharing that does not pay goes on");
}

/* What disturbed the first steps is not held against those that follow for longer than it lasted. */
static void test_a_bad_beginning(void) {
    static const double bad[] = {0.02, 0.05, 0.1, 0.135};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mlp_pace p = {0};
        mlp_pace_begin(&p, THREADS, 32);
        make_steps(&p, bad[i], 350e-6, 300e-6);
        make_steps(&p, bad[i] + 0.01, 200e-6, 300e-6);
        double of_shared = make_steps(&p, 0.2, 200e-6, 300e-6);
        CHECK(of_shared > 0.2 - 0.01, "%g s are shared, %g s after steps that took long", of_shared, bad[i]);
    }
    mlp_pace p = {0};
    mlp_pace_begin(&p, THREADS, 32);
    mlp_pace_step(&p, 0.05);
    make_steps(&p, 0.05, 200e-6, 300e-6);
    double of_shared = make_steps(&p, 0.2, 200e-6, 300e-6);
    CHECK(of_shared > 0.2 - 0.01, "%g s are shared after a long step", of_shared);
}

/* The machine changes, and the choice with it; it is kept for calls alike, and made anew for others. */
static void test_changes(void) {
    mlp_pace p = {0};
    mlp_pace_begin(&p, THREADS, 32);
    make_steps(&p, 5, 200e-6, 300e-6);
    make_steps(&p, 1.15, 400e-6, 300e-6);
    CHECK(mlp_pace_threads(&p) == 1, "steps that have become slower go on");
    mlp_pace_begin(&p, THREADS, 32);
    CHECK(mlp_pace_threads(&p) == 1, "the next call begins anew");
    make_steps(&p, 1.15, 200e-6, 300e-6);
    CHECK(mlp_pace_threads(&p) == THREADS, "steps that have become faster are not taken up");
    make_steps(&p, 0.3, 400e-6, 300e-6);
    mlp_pace_begin(&p, THREADS, 64);
    CHECK(mlp_pace_threads(&p) == THREADS, "another batch goes on like the one before");
}

int main(void) {
    test_the_faster_way(200e-6, 300e-6);
    test_the_faster_way(300e-6, 200e-6);
    test_the_faster_way(0.02, 0.03);
    test_the_faster_way(0.02, 0.015);
    test_it_is_found_out_soon();
    test_a_bad_beginning();
    test_changes();
    return check_summary();
}
