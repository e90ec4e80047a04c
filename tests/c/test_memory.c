/* test_memory.c: each allocation fails once. What is not there must not be touched and nothing may leak, which the
 * sanitizers see; training that runs out of memory leaves the network at a completed epoch. The linker puts the
 * functions below in the place of the library's. */
#include "mlp.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "network.h"

static long left = -1; /* allocations before the one that fails; negative: none does */

static bool fails(void) { return left >= 0 && left-- == 0; }

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t item);
void *__real_realloc(void *block, size_t n);
void *__real_aligned_alloc(size_t boundary, size_t n);

void *__wrap_malloc(size_t n) { return fails() ? NULL : __real_malloc(n); }

void *__wrap_calloc(size_t n, size_t item) { return fails() ? NULL : __real_calloc(n, item); }

void *__wrap_realloc(void *block, size_t n) { return fails() ? NULL : __real_realloc(block, n); }

void *__wrap_aligned_alloc(size_t boundary, size_t n) { return fails() ? NULL : __real_aligned_alloc(boundary, n); }

/* More epochs than the history has room for at first. */
enum { ROWS = 40, BATCH = 16, EPOCHS = 18, MOST_INPUTS = 80, MOST_OUTPUTS = 20, MOST_PARAMETERS = 2500 };

static uint64_t next_64(void *state) {
    uint64_t *s = state;
    return *s = *s * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
}

static uint32_t next_32(void *state) { return (uint32_t)(next_64(state) >> 32); }

typedef struct {
    mlp_spec spec;
    mlp_optimizer optimizer;
    mlp_data data;
    size_t bytes;                                                  /* of the parameters */
    char parameters[EPOCHS + 1][MOST_PARAMETERS * sizeof(double)]; /* after each epoch */
} training;

/* NULL: there was no memory. */
static mlp_network *make_network(const training *t) {
    mlp_network *net = mlp_create(&t->spec);
    if (net == NULL || mlp_set_optimizer(net, &t->optimizer) != NULL) {
        mlp_destroy(net);
        return NULL;
    }
    for (size_t i = 0; i < mlp_n_parameters(net); i++) {
        set_parameter(net, t->spec.dtype, i, (double)(i * 7919 % 2001) / 4000 - 0.25);
    }
    return net;
}

static mlp_status fit(const training *t, mlp_network *net, uint64_t epochs, uint64_t *state) {
    mlp_random random = {state, next_64, next_32};
    mlp_stopping stopping = {.monitor = MLP_VALIDATION_LOSS, .patience = epochs == 1 ? 0 : 1000, .restore_best = true};
    mlp_fit_settings settings = {
        .epochs = epochs, .batch_size = BATCH, .shuffle = &random, .validation = &t->data, .stopping = stopping};
    mlp_fit_result result;
    mlp_call call = {0};
    return mlp_fit(net, &t->data, &settings, &result, &call);
}

static void test_training(training *t, const char *what) {
    uint64_t state = 1;
    mlp_network *net = make_network(t);
    t->bytes = mlp_n_parameters(net) * (t->spec.dtype == MLP_F32 ? sizeof(float) : sizeof(double));
    for (size_t e = 0; e <= EPOCHS; e++) {
        memcpy(t->parameters[e], mlp_parameters(net), t->bytes);
        if (e < EPOCHS) {
            CHECK(fit(t, net, 1, &state) == MLP_OK, "%s, epoch %zu", what, e);
        }
    }
    mlp_destroy(net);
    mlp_status status = MLP_NO_MEMORY;
    for (long n = 0; status == MLP_NO_MEMORY && n < 1000; n++) {
        left = n;
        net = make_network(t);
        if (net != NULL) {
            state = 1;
            status = fit(t, net, EPOCHS, &state);
            left = -1;
            uint64_t epoch = mlp_progress_of(net)->epoch;
            CHECK(status == MLP_OK || status == MLP_NO_MEMORY, "%s, allocation %ld: %d", what, n, status);
            CHECK(mlp_history_of(net)->n_epochs == epoch, "%s, allocation %ld", what, n);
            CHECK(status == MLP_OK || memcmp(mlp_parameters(net), t->parameters[epoch], t->bytes) == 0,
                  "%s, allocation %ld, epoch %d", what, n, (int)epoch);
        }
        mlp_destroy(net);
    }
    left = -1;
    CHECK(status == MLP_OK, "%s", what);
}

static void test_reading(const training *t, const char *what) {
    static double gradient[MOST_PARAMETERS], outputs[ROWS * MOST_OUTPUTS];
    mlp_network *net = make_network(t);
    mlp_call call = {0};
    double objective;
    mlp_wanted wanted = {.objective = &objective, .gradient = gradient};
    mlp_status status = MLP_NO_MEMORY;
    for (long n = 0; status == MLP_NO_MEMORY && n < 100; n++) {
        left = n;
        status = mlp_evaluate(net, &wanted, NULL, &t->data, &call);
    }
    CHECK(status == MLP_OK, "%s: gradient", what);
    status = MLP_NO_MEMORY;
    for (long n = 0; status == MLP_NO_MEMORY && n < 100; n++) {
        left = n;
        status = mlp_forward(net, (void *[]){NULL, outputs}, &t->data.x, &call);
    }
    left = -1;
    CHECK(status == MLP_OK, "%s: prediction", what);
    mlp_destroy(net);
}

int main(void) {
    static training t;
    static double x[ROWS * MOST_INPUTS], y[ROWS * MOST_OUTPUTS];
    const size_t sizes[][3] = {{5, 6, 2}, {80, 20, 20}, {70, 20, 1}};
    const char *rules[] = {"sgd", "adam", "rprop", "lbfgs"};
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) {
        x[i] = (double)(i * 31 % 101) / 101;
    }
    for (size_t i = 0; i < sizeof y / sizeof *y; i++) {
        y[i] = (double)(i * 17 % 23) / 23;
    }
    ptrdiff_t item = sizeof(double);
    for (size_t i = 0; i < 24; i++) {
        const size_t *layers = sizes[i % 3];
        size_t inputs = layers[0], outputs = layers[2];
        t.spec = (mlp_spec){.n_layers = 2,
                            .layer_sizes = layers,
                            .activations = (const char *[]){"gelu", "identity"},
                            .loss = "squared_error",
                            .bias = true,
                            .dtype = i / 12 == 0 ? MLP_F64 : MLP_F32};
        t.optimizer = (mlp_optimizer){.rule = rules[i / 3 % 4],
                                      .learning_rate = 1e-3,
                                      .momentum = 0.5,
                                      .beta_1 = 0.9,
                                      .beta_2 = 0.99,
                                      .epsilon = 1e-8,
                                      .eta_minus = 0.5,
                                      .eta_plus = 1.2,
                                      .step_min = 1e-6,
                                      .step_max = 1,
                                      .history_size = 3};
        t.data = (mlp_data){.x = {x, MLP_FLOAT64, false, ROWS, inputs, (ptrdiff_t)inputs * item, item},
                            .y = {y, MLP_FLOAT64, false, ROWS, outputs, (ptrdiff_t)outputs * item, item}};
        test_training(&t, t.optimizer.rule);
        test_reading(&t, t.optimizer.rule);
    }
    return check_summary();
}
