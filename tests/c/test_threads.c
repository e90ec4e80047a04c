/* test_threads.c: one pool of workers: the same bits for any number of threads, networks trained at once, interruption.
 * Run also under ThreadSanitizer. */
#ifdef __linux__
#define _GNU_SOURCE /* which processors a thread may run on */
#else
#define _POSIX_C_SOURCE 200809L
#endif
#include "mlp.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "pass.h"
#include "network.h"

/* ---- A run: everything about it follows from its number. */
typedef struct {
    size_t rows, layers, sizes[5], batch;
    const char *rule, *loss;
    mlp_dtype dtype;
    double dropout;
} run;

static const run runs[] = {
    {3000, 2, {2, 3, 1}, 0, "rprop", "binary_cross_entropy", MLP_F32, 0.0},                /* lanes, by chunks */
    {9000, 3, {5, 12, 4, 3}, 4500, "adam", "categorical_cross_entropy", MLP_F64, 0.2},     /* the same, with dropout */
    {5000, 3, {20, 33, 65, 1}, 2500, "sgd", "squared_error", MLP_F32, 0.0},                /* units, by chunks */
    {500, 3, {20, 33, 65, 2}, 230, "adam", "squared_error", MLP_F32, 0.1},                 /* the same, of fewer rows */
    {300, 3, {70, 129, 200, 10}, 130, "adamw", "categorical_cross_entropy", MLP_F64, 0.1}, /* by parts of blocks */
    {357, 2, {300, 500, 1}, 290, "rmsprop", "log_cosh", MLP_F32, 0.0},                     /* of two in a batch */
    {150, 2, {640, 900, 3}, 100, "adam", "squared_error", MLP_F32, 0.0},                   /* products are shared */
    {120, 2, {1500, 40, 3}, 40, "sgd", "categorical_cross_entropy", MLP_F32, 0.1},         /* by parts of their depth */
    {1500, 2, {30, 40, 2}, 0, "lbfgs", "squared_error", MLP_F64, 0.0},
};
enum { N_RUNS = sizeof runs / sizeof *runs };

static double draw(uint64_t *seed) { /* uniform on (-1, 1) */
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*seed >> 11) * 0x1p-52 - 1.0;
}

static mlp_network *make_network(const run *r) {
    double dropout[3] = {r->dropout, r->dropout, r->dropout};
    mlp_spec spec = {.n_layers = r->layers,
                     .layer_sizes = r->sizes,
                     .activations = (const char *[]){"tanh", "gelu", "identity"},
                     .loss = r->loss,
                     .l2 = 1e-4,
                     .dropout = r->dropout > 0 ? dropout : NULL,
                     .bias = true,
                     .dtype = r->dtype};
    const char *activations[3] = {"tanh", "gelu", "tanh"};
    activations[r->layers - 1] = mlp_loss_activation(r->loss);
    spec.activations = activations;
    CHECK(mlp_check(&spec) == NULL, "%s", mlp_check(&spec));
    mlp_network *net = mlp_create(&spec);
    uint64_t seed = 7;
    for (size_t i = 0; i < mlp_n_parameters(net); i++) {
        set_parameter(net, r->dtype, i, 0.2 * draw(&seed));
    }
    mlp_optimizer o = {.rule = r->rule,
                       .learning_rate = 0.01,
                       .beta_1 = 0.9,
                       .beta_2 = 0.999,
                       .epsilon = 1e-8,
                       .weight_decay = 0.01,
                       .rho = 0.9,
                       .eta_minus = 0.5,
                       .eta_plus = 1.2,
                       .step_min = 1e-6,
                       .step_max = 50,
                       .history_size = 3};
    CHECK(mlp_set_optimizer(net, &o) == NULL, "%s", r->rule);
    return net;
}

typedef struct {
    double *x, *y;
    mlp_data data;
} problem;

static problem make_problem(const run *r) {
    size_t inputs = r->sizes[0], outputs = strstr(r->loss, "categorical") ? 1 : r->sizes[r->layers];
    problem p = {.x = malloc(r->rows * inputs * sizeof(double)), .y = malloc(r->rows * outputs * sizeof(double))};
    uint64_t seed = 11;
    for (size_t i = 0; i < r->rows * inputs; i++) {
        p.x[i] = draw(&seed);
    }
    for (size_t i = 0; i < r->rows * outputs; i++) {
        p.y[i] = strstr(r->loss, "entropy") ? (double)(i % 2) : draw(&seed);
    }
    ptrdiff_t item = sizeof(double);
    p.data.x = (mlp_rows){p.x, MLP_FLOAT64, false, r->rows, inputs, (ptrdiff_t)inputs * item, item};
    p.data.y = (mlp_rows){p.y, MLP_FLOAT64, false, r->rows, outputs, (ptrdiff_t)outputs * item, item};
    p.data.labels = strstr(r->loss, "categorical") != NULL;
    return p;
}

static mlp_shelf shelf; /* of all of them: calls find what others, of other types, have left */

/* Trains, predicts and differentiates; the bytes of all that comes out, and how many. */
static char *results_of(const run *r, mlp_pool *pool, size_t n_threads, size_t *n) {
    problem p = make_problem(r);
    mlp_network *net = make_network(r);
    mlp_call call = {.pool = pool,
                     .n_threads = n_threads,
                     .shelf = &shelf,
                     .shared = 1e9}; /* as if after much else: workers are woken */
    mlp_fit_result result;
    mlp_fit_settings settings = {.epochs = 3, .batch_size = r->batch, .validation = &p.data};
    CHECK(mlp_fit(net, &p.data, &settings, &result, &call) == MLP_OK, "fit %zu", n_threads);
    size_t item = r->dtype == MLP_F64 ? sizeof(double) : sizeof(float), N = mlp_n_parameters(net);
    size_t outputs = r->rows * r->sizes[r->layers], inputs = r->rows * r->sizes[0];
    *n = (2 * N + outputs + inputs) * item + (r->rows + 3) * sizeof(double) + outputs * sizeof(int64_t);
    char *out = calloc(*n, 1), *at = out;
    memcpy(at, mlp_parameters(net), N * item);
    at += N * item;
    void *activations[3] = {NULL, NULL, NULL};
    activations[r->layers - 1] = at;
    CHECK(mlp_forward(net, activations, &p.data.x, &call) == MLP_OK, "forward %zu", n_threads);
    at += outputs * item;
    double *doubles = malloc((r->rows + 1) * sizeof(double));
    mlp_wanted wanted = {
        .objective = doubles, .sample_losses = doubles + 1, .gradient = at, .input_gradient = at + N * item};
    CHECK(mlp_evaluate(net, &wanted, NULL, &p.data, &call) == MLP_OK, "evaluate %zu", n_threads);
    at += (N + inputs) * item;
    memcpy(at, doubles, (r->rows + 1) * sizeof(double));
    at += (r->rows + 1) * sizeof(double);
    memcpy(at, &mlp_history_of(net)->loss[2], sizeof(double));
    memcpy(at + sizeof(double), &mlp_history_of(net)->validation_loss[2], sizeof(double));
    if (strstr(r->loss, "entropy") != NULL) {
        int64_t *labels = malloc(outputs * sizeof *labels);
        double *thresholds = malloc(r->sizes[r->layers] * sizeof *thresholds);
        size_t n_labels = p.data.labels ? r->rows : outputs;
        for (size_t k = 0; k < r->sizes[r->layers]; k++) {
            thresholds[k] = 0.5;
        }
        CHECK(mlp_predict(net, labels, thresholds, &p.data.x, &call) == MLP_OK, "predict %zu", n_threads);
        memcpy(at + 2 * sizeof(double), labels, n_labels * sizeof *labels);
        free(labels);
        free(thresholds);
    }
    free(doubles);
    free(p.x);
    free(p.y);
    mlp_destroy(net);
    return out;
}

static void test_same_bits(mlp_pool *pool) {
    const size_t threads[] = {2, 3, 16};
    for (size_t i = 0; i < N_RUNS; i++) {
        size_t n, n_alone;
        char *alone = results_of(&runs[i], NULL, 1, &n_alone);
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
            char *shared = results_of(&runs[i], pool, threads[t], &n);
            CHECK(n == n_alone && memcmp(alone, shared, n) == 0, "run %zu, %zu threads", i, threads[t]);
            free(shared);
        }
        free(alone);
    }
}

/* ---- Several networks at once on one pool: whoever finds it busy works alone. */
typedef struct {
    mlp_pool *pool;
    size_t first;
    int wrong;
} trainer;

static void *train(void *argument) {
    trainer *t = argument;
    for (size_t i = 0; i < N_RUNS; i++) {
        const run *r = &runs[(t->first + i) % N_RUNS];
        size_t n;
        char *shared = results_of(r, t->pool, 2, &n), *again = results_of(r, t->pool, 3, &n);
        t->wrong += memcmp(shared, again, n) != 0;
        free(shared);
        free(again);
    }
    return NULL;
}

static void test_at_once(mlp_pool *pool) {
    enum { TRAINERS = 3 };
    trainer trainers[TRAINERS];
    pthread_t threads[TRAINERS];
    for (size_t i = 0; i < TRAINERS; i++) {
        trainers[i] = (trainer){.pool = pool, .first = i};
        CHECK(pthread_create(&threads[i], NULL, train, &trainers[i]) == 0, "thread");
    }
    for (size_t i = 0; i < TRAINERS; i++) {
        pthread_join(threads[i], NULL);
        CHECK(trainers[i].wrong == 0, "trainer %zu: %d", i, trainers[i].wrong);
    }
}

/* ---- Stopped at some poll, the parameters are those of a completed step: here, of none. */
static int poll_once(void *context) {
    int *left = context;
    return --*left == 0;
}

static void test_interrupting(mlp_pool *pool) {
    enum { EPOCHS = 400 };
    for (size_t i = 0; i < N_RUNS; i++) {
        for (int stop_at = 1; stop_at < 3; stop_at++) {
            run r = runs[i];
            r.batch = 0;
            problem p = make_problem(&r);
            mlp_network *net = make_network(&r), *twin = make_network(&r);
            int left = stop_at;
            mlp_call call = {.pool = pool, .n_threads = 2, .poll = poll_once, .context = &left, .shared = 1e9};
            mlp_call quiet = {0};
            mlp_fit_result result;
            mlp_status status = mlp_fit(net, &p.data, &(mlp_fit_settings){.epochs = EPOCHS}, &result, &call);
            CHECK(status == MLP_INTERRUPTED, "run %zu: %d", i, status);
            bool found = false;
            size_t bytes = mlp_n_parameters(net) * (r.dtype == MLP_F64 ? sizeof(double) : sizeof(float));
            for (int e = 0; e <= EPOCHS && !found; e++) {
                found = memcmp(mlp_parameters(net), mlp_parameters(twin), bytes) == 0;
                mlp_fit(twin, &p.data, &(mlp_fit_settings){.epochs = 1}, &result, &quiet);
            }
            CHECK(found, "run %zu, poll %d: between steps", i, stop_at);
            free(p.x);
            free(p.y);
            mlp_destroy(net);
            mlp_destroy(twin);
        }
    }
}

/* Interrupted while steps are tried on one thread, a call still has the threads that it came with. */
static int poll_for_one_thread(void *context) { return ((const mlp_call *)context)->n_threads == 1; }

static void test_trying(mlp_pool *pool) {
    run r = {.layers = 2, .sizes = {64, 256, 3}, .rows = 256, .batch = 64, .loss = "squared_error", .rule = "sgd"};
    problem p = make_problem(&r);
    mlp_network *net = make_network(&r);
    mlp_call call = {.pool = pool, .n_threads = 2, .poll = poll_for_one_thread, .context = &call};
    mlp_fit_result result;
    CHECK(mlp_fit(net, &p.data, &(mlp_fit_settings){.epochs = 100000}, &result, &call) == MLP_INTERRUPTED, "tries");
    CHECK(call.n_threads == 2, "%zu threads", call.n_threads);
    mlp_destroy(net);
    net = make_network(&r);
    mlp_status status = MLP_OK; /* short calls take up where the last one was */
    for (size_t calls = 0; calls < 100000 && status == MLP_OK; calls++) {
        status = mlp_fit(net, &p.data, &(mlp_fit_settings){.epochs = 1}, &result, &call);
    }
    CHECK(status == MLP_INTERRUPTED, "short calls try");
    free(p.x);
    free(p.y);
    mlp_destroy(net);
}

/* Which threads have worked, a bit each; a task takes long enough for the workers to come. */
static void note_thread(void *context, size_t task, size_t thread) {
    volatile double x = (double)task;
    for (int i = 0; i < 1000000; i++) {
        x = 0.5 * x + 1.0;
    }
    atomic_fetch_or((atomic_uint *)context, 1u << thread);
}

static void test_sharing(mlp_pool *pool) {
    const unsigned allowed[] = {16, 16, 2, 1, 1, 1}; /* by callers; of 4 processors, which one caller may exceed */
    for (unsigned callers = 0; callers < 6; callers++) {
        atomic_uint threads = 0;
        mlp_parallel(pool, 16, true, 64, note_thread, &threads);
        CHECK(threads >> allowed[callers] == 0, "%u callers: threads %x", callers, threads);
        CHECK(callers > 1 || threads > 1, "%u callers: one thread", callers);
        mlp_pool_enter(pool);
    }
    for (unsigned callers = 0; callers < 6; callers++) {
        mlp_pool_leave(pool);
    }
    atomic_uint threads = 0;
    mlp_parallel(pool, 16, true, 64, note_thread, &threads);
    CHECK(threads > 1, "threads %x after all have left", threads);
    mlp_call call = {.pool = pool, .n_threads = 1000};
    size_t cut_for = mlp_threads_for(&call, 1e12);
    CHECK(cut_for == mlp_pool_limit(pool) && cut_for < 1000, "cut for %zu threads", cut_for);
}

/* Threads that take part in a region of few or many tasks. */
static unsigned threads_of(mlp_pool *pool, bool wakes, size_t n_tasks) {
    atomic_uint threads = 0;
    mlp_parallel(pool, 4, wakes, n_tasks, note_thread, &threads);
    return threads;
}

static void test_sleepers(void) {
    mlp_pool *pool = mlp_pool_create(4);
    CHECK(threads_of(pool, false, 8) == 1, "threads are started for a region that wakes none");
    mlp_network *net = make_network(&runs[3]);
    problem p = make_problem(&runs[3]);
    mlp_call call = {.pool = pool, .n_threads = 4};
    double objective;
    CHECK(mlp_evaluate(net, &(mlp_wanted){.objective = &objective}, NULL, &p.data, &call) == MLP_OK, "evaluate");
    CHECK(call.shared > 0 && threads_of(pool, false, 8) == 1, "threads are started to share %g operations",
          call.shared);
    free(p.x);
    free(p.y);
    mlp_destroy(net);
    CHECK(threads_of(pool, true, 64) > 1, "none is started");
    unsigned threads = 0;
    for (size_t i = 0; i < 100 && threads != 1; i++) { /* they fall asleep some time */
        nanosleep(&(struct timespec){.tv_nsec = (long)(i + 1) * 9000000}, NULL);
        threads = threads_of(pool, false, 8);
    }
    CHECK(threads == 1, "threads %x have been woken", threads);
    CHECK(threads_of(pool, true, 64) > 1, "none is woken");
    mlp_pool_destroy(pool);
}

#ifdef __linux__
/* Counts the tasks of threads that may not run where the process may. */
typedef struct {
    cpu_set_t processors;
    atomic_uint threads, displaced;
} places;

static void note_place(void *context, size_t task, size_t thread) {
    places *p = context;
    cpu_set_t own;
    note_thread(&p->threads, task, thread); /* long enough for the workers to come */
    bool same = sched_getaffinity(0, sizeof own, &own) == 0 && CPU_EQUAL(&own, &p->processors);
    p->displaced += !same;
}

static void test_places(mlp_pool *pool) {
    places p = {.displaced = 0};
    CHECK(sched_getaffinity(0, sizeof p.processors, &p.processors) == 0, "affinity");
    for (size_t i = 0; i < 3; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        mlp_parallel(pool, 4, true, 16, note_place, &p);
    }
    CHECK(p.threads > 1 && p.displaced == 0, "threads %x, %u tasks of displaced ones", p.threads, p.displaced);
}
#endif

/* Other threads that only look around, as those of a BLAS do after its products, take turns of the workers' processors:
 * every task is still run, once. */
static atomic_bool spinning;

static void *spin(void *unused) {
    while (atomic_load_explicit(&spinning, memory_order_relaxed)) {
    }
    return unused;
}

static void count(void *context, size_t task, size_t thread) {
    (void)thread;
    atomic_fetch_add(&((atomic_uint *)context)[task], 1);
}

static void test_pools_of_any_size(void) {
    static const size_t sizes[] = {0, 1, (size_t)1 << 61, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        mlp_pool *pool = mlp_pool_create(sizes[i]);
        size_t limit = mlp_pool_limit(pool);
        CHECK(limit >= 1 && limit <= MLP_MOST_THREADS, "a pool of %zu has %zu threads", sizes[i], limit);
        mlp_pool_destroy(pool);
    }
}

static void test_crowded(void) {
    enum { SPINNERS = 4, TASKS = 8, REGIONS = 200 };
    mlp_pool *pool = mlp_pool_create(2);
    pthread_t spinners[SPINNERS];
    atomic_uint counts[TASKS] = {0};
    atomic_store(&spinning, true);
    for (size_t i = 0; i < SPINNERS; i++) {
        CHECK(pthread_create(&spinners[i], NULL, spin, NULL) == 0, "thread");
    }
    for (size_t i = 0; i < REGIONS; i++) {
        mlp_parallel(pool, 2, true, TASKS, count, counts);
        if (i % 20 == 0) { /* workers look around, and are held up */
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        }
    }
    atomic_store(&spinning, false);
    for (size_t i = 0; i < SPINNERS; i++) {
        pthread_join(spinners[i], NULL);
    }
    for (size_t t = 0; t < TASKS; t++) {
        CHECK(counts[t] == REGIONS, "task %zu ran %u times", t, counts[t]);
    }
    mlp_pool_destroy(pool);
}

typedef struct {
    atomic_bool begun;
    pid_t child;
} forking;

/* The calling thread forks while a worker is at a task. */
static void fork_once(void *context, size_t task, size_t thread) {
    forking *f = context;
    if (thread > 0) {
        atomic_store(&f->begun, true);
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    } else if (task == 0) {
        for (size_t waits = 0; waits < 1000 && !atomic_load(&f->begun); waits++) {
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
        f->child = fork();
        alarm(f->child == 0 ? 10 : 0); /* or it would wait for ever */
    }
}

/* The child's region ends, though nobody is there to complete that task. */
static void test_forking(mlp_pool *pool) {
    forking f = {.child = -1};
    int status = -1;
    mlp_parallel(pool, 2, true, 4, fork_once, &f);
    if (f.child == 0) {
        _exit(0);
    }
    CHECK(waitpid(f.child, &status, 0) == f.child && status == 0, "status %d", status);
}

/* For a part of the depth that its thread gave up nobody waits. */
static void test_awaiting(void) {
    atomic_size_t groups = 0;
    atomic_bool stop = true;
    alarm(10); /* or this would be for ever */
    mlp_await(&groups, 1, &stop);
    alarm(0);
}

/* Who meets something bad tells the others to stop: its complaint comes before what became of them. */
static void test_complaining(mlp_pool *pool) {
    static const run r = {300, 2, {70, 129, 2}, 0, "sgd", "squared_error", MLP_F32, 0.0};
    mlp_network *net = make_network(&r);
    mlp_call call = {.pool = pool, .n_threads = 2};
    mlp_crew *crew = mlp_crew_create(net, r.rows, PREDICTS, &call, NULL);
    CHECK(crew != NULL && crew->n == 2, "crew");
    crew->members[1].call.row = 7;
    mlp_crew_report(crew, 1, crew->members[1].pass, MLP_BAD_X);
    CHECK(mlp_crew_stops(crew), "goes on");
    mlp_crew_report(crew, 0, crew->members[0].pass, MLP_INTERRUPTED);
    CHECK(mlp_crew_status(crew, 2) == MLP_BAD_X && call.row == 7, "row %zu", call.row);
    mlp_crew_destroy(crew);
    mlp_destroy(net);
}

int main(void) {
    mlp_pool *pool = mlp_pool_create(4);
    CHECK(pool != NULL, "pool");
    test_same_bits(pool);
    test_at_once(pool);
    test_interrupting(pool);
    test_awaiting();
    test_complaining(pool);
    test_trying(pool);
    test_sharing(pool);
    test_forking(pool);
#ifdef __linux__
    test_places(pool);
#endif
    test_pools_of_any_size();
    test_sleepers();
    test_crowded();
    mlp_clear_shelf(&shelf);
    mlp_pool_destroy(pool);
    mlp_pool_destroy(NULL);
    return check_summary();
}
