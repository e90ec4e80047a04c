/* test_bits.c: the same bits from every instruction set with fused multiply-adds, for a grid of networks over shapes,
 * dtypes, optimizers, activations, losses and dropout, each trained with one set of kernels after the other.
 *
 *     ./test_bits         compares the sets of this machine
 *     ./test_bits NAME    prints a hash for each network, trained with that set: to compare with another machine's
 *
 * What the right values are is not its concern. */
#include "mlp.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "network.h"

enum { MOST_LAYERS = 3, EPOCHS = 2, MANY_CLASSES = 32 }; /* so many are given by labels */

/* Narrow ones with samples in the lanes, wide ones with units; two have more rows than one chain of sums takes;
 * three make steps of one sample, and two of few; of some the gradient is computed as its transpose, with or without
 * more blocks; three have hidden layers of few units after many inputs. */
static const struct {
    size_t n_layers, sizes[MOST_LAYERS + 1], rows, batch;
} shapes[] = {
    {2, {2, 3, 1}, 200, 0},       {3, {3, 5, 4, 2}, 203, 50},     {1, {1, 1}, 33, 1},
    {2, {7, 12, 3}, 65, 17},      {2, {5, 2, 1}, 4500, 0},        {3, {7, 33, 65, 3}, 103, 50},
    {2, {17, 127, 10}, 63, 31},   {3, {129, 63, 31, 10}, 37, 32}, {2, {3, 1000, 2}, 33, 7},
    {2, {64, 64, 64}, 130, 128},  {2, {5, 13, 1}, 4500, 0},       {3, {5, 12, 3, 2}, 70, 1},
    {2, {70, 33, 1}, 63, 31},     {2, {20, 60, 10}, 150, 0},      {1, {67, 3}, 90, 0},
    {2, {40, 100, 3}, 300, 0},    {2, {37, 50, 1}, 96, 32},       {2, {20, 7, 5}, 64, 16},
    {3, {20, 128, 70, 3}, 10, 4}, {2, {33, 100, 64}, 12, 5},      {2, {9, 20, 50}, 40, 20},
    {3, {37, 3, 30, 2}, 50, 19},  {2, {70, 2, 20}, 21, 1},        {2, {50, 4, 50}, 64, 48},
};

static const mlp_optimizer optimizers[] = {
    {.rule = "sgd", .learning_rate = 0.01},
    {.rule = "sgd", .learning_rate = 0.01, .momentum = 0.9, .nesterov = true, .clip_norm = 0.5},
    {.rule = "adam", .learning_rate = 0.01, .beta_1 = 0.9, .beta_2 = 0.999, .epsilon = 1e-8},
    {.rule = "adamw", .learning_rate = 0.01, .beta_1 = 0.9, .beta_2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.01},
    {.rule = "rmsprop", .learning_rate = 0.001, .rho = 0.9, .epsilon = 1e-8, .momentum = 0.5},
    {.rule = "rprop", .learning_rate = 0.01, .eta_minus = 0.5, .eta_plus = 1.2, .step_min = 1e-6, .step_max = 50},
    {.rule = "lbfgs", .history_size = 5, .tolerance = 1e-7},
};

enum { N_SHAPES = sizeof shapes / sizeof *shapes, N_OPTIMIZERS = sizeof optimizers / sizeof *optimizers };

/* ---- Numbers that are the same everywhere: nothing here depends on a C library's functions. */
static uint64_t seed;

static double draw(void) { /* uniform on [-1, 1) */
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(seed >> 11) * 0x1p-52 - 1.0;
}

static uint64_t draw_bits(void *state) {
    (void)state;
    draw();
    return (seed ^ (seed >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
}

static uint32_t draw_half_bits(void *state) { return (uint32_t)(draw_bits(state) >> 32); }

static double draw_target(const char *loss) {
    return strcmp(loss, "poisson") == 0 ? (double)(int)(3 * fabs(draw()))
           : strstr(loss, "entropy")    ? fabs(draw())
                                        : draw();
}

static uint64_t hash(uint64_t h, const void *data, size_t bytes) { /* FNV-1a */
    for (size_t i = 0; i < bytes; i++) {
        h = (h ^ ((const unsigned char *)data)[i]) * UINT64_C(0x100000001b3);
    }
    return h;
}

/* ---- One network. */
typedef struct {
    size_t shape, optimizer;
    mlp_dtype dtype;
    char what[128];
} problem;

static mlp_data make_data(size_t rows, size_t inputs, size_t outputs, const char *loss) {
    double *x = malloc(rows * inputs * sizeof *x), *y = malloc(rows * outputs * sizeof *y);
    double *w = malloc(rows * sizeof *w);
    for (size_t i = 0; i < rows * inputs; i++) {
        x[i] = draw();
    }
    bool labels = strcmp(loss, "categorical_cross_entropy") == 0 && outputs >= MANY_CLASSES;
    size_t columns = labels ? 1 : outputs;
    for (size_t i = 0; i < rows; i++) {
        double sum = 0;
        for (size_t k = 0; k < outputs && !labels; k++) {
            y[i * outputs + k] = draw_target(loss);
            sum += y[i * outputs + k];
        }
        for (size_t k = 0; k < outputs && strcmp(loss, "categorical_cross_entropy") == 0 && !labels; k++) {
            y[i * outputs + k] /= sum;
        }
        if (labels) {
            y[i] = (double)(int)(fabs(draw()) * (double)outputs);
        }
        w[i] = fabs(draw());
    }
    ptrdiff_t item = sizeof(double);
    return (mlp_data){.x = {x, MLP_FLOAT64, false, rows, inputs, (ptrdiff_t)inputs * item, item},
                      .y = {y, MLP_FLOAT64, false, rows, columns, (ptrdiff_t)columns * item, item},
                      .labels = labels,
                      .weight = {w, MLP_FLOAT64, false, rows, 1, item, item}};
}

static void free_data(const mlp_data *data) {
    free((void *)(uintptr_t)data->x.data);
    free((void *)(uintptr_t)data->y.data);
    free((void *)(uintptr_t)data->weight.data);
}

/* Outputs, losses, objective and its gradients; parameters, the optimizer's state, the losses of the epochs. */
static uint64_t hash_network(mlp_network *net, const mlp_data *data, size_t item, size_t n_layers, size_t n_outputs) {
    size_t rows = data->x.n_rows, n_parameters = mlp_n_parameters(net), n_state;
    size_t x_bytes = rows * data->x.n_columns * item, y_bytes = rows * n_outputs * item;
    void *gradient = malloc(n_parameters * item), *input_gradient = malloc(x_bytes), *outputs = malloc(y_bytes);
    void *activations[MOST_LAYERS] = {NULL};
    activations[n_layers - 1] = outputs;
    double objective, *losses = malloc(rows * sizeof *losses);
    mlp_wanted wanted = {&objective, gradient, input_gradient, losses};
    mlp_call call = {0};
    CHECK(mlp_forward(net, activations, &data->x, &call) == MLP_OK, "forward");
    CHECK(mlp_evaluate(net, &wanted, NULL, data, &call) == MLP_OK && isfinite(objective), "objective %g", objective);
    const void *state = mlp_optimizer_state(net, &n_state);
    const mlp_history *history = mlp_history_of(net);
    uint64_t h = hash(UINT64_C(0xcbf29ce484222325), outputs, y_bytes);
    h = hash(h, losses, rows * sizeof *losses);
    h = hash(h, &objective, sizeof objective);
    h = hash(h, gradient, n_parameters * item);
    h = hash(h, input_gradient, x_bytes);
    h = hash(h, mlp_parameters(net), n_parameters * item);
    h = hash(h, state, n_state * item);
    h = hash(h, history->loss, history->n_epochs * sizeof *history->loss);
    free(losses);
    free(outputs);
    free(input_gradient);
    free(gradient);
    return h;
}

static uint64_t train(problem *p, const char *kernels) {
    static const char *const names[] = {[MLP_F32] = "f32", [MLP_F64] = "f64"};
    const size_t *sizes = shapes[p->shape].sizes, n_layers = shapes[p->shape].n_layers, o = p->optimizer;
    size_t n_activations = 0, n_losses = 0;
    while (mlp_activation_name(n_activations) != NULL) {
        n_activations++;
    }
    while (mlp_loss_name(n_losses) != NULL) {
        n_losses++;
    }
    const char *loss = mlp_loss_name((p->shape + o) % n_losses), *activations[MOST_LAYERS];
    for (size_t l = 0; l < n_layers; l++) {
        activations[l] = mlp_activation_name((p->shape + 2 * o + 5 * l) % n_activations);
    }
    activations[n_layers - 1] = mlp_loss_activation(loss);
    bool full = strcmp(optimizers[o].rule, "rprop") == 0 || strcmp(optimizers[o].rule, "lbfgs") == 0;
    bool dropout = !full && (p->shape + o) % 2 == 1;
    mlp_spec spec = {.n_layers = n_layers,
                     .layer_sizes = sizes,
                     .activations = activations,
                     .loss = loss,
                     .l1 = o % 3 == 1 ? 0.001 : 0,
                     .l2 = o % 3 == 0 ? 0.001 : 0,
                     .dropout = dropout ? (double[MOST_LAYERS]){0.2, 0.1} : NULL,
                     .bias = p->shape % 4 != 3,
                     .dtype = p->dtype,
                     .kernels = kernels};
    snprintf(p->what, sizeof p->what, "shape %zu, %s, %s %zu, %s, %s%s", p->shape, names[p->dtype], optimizers[o].rule,
             o, activations[0], loss, dropout ? ", dropout" : "");
    const char *reason = mlp_check(&spec);
    if (reason != NULL) { /* no such kernels on this machine */
        fprintf(stderr, "%s\n", reason);
        exit(2);
    }
    mlp_network *net = mlp_create(&spec);
    seed = p->shape * N_OPTIMIZERS + o;
    for (size_t i = 0; i < mlp_n_parameters(net); i++) {
        set_parameter(net, p->dtype, i, 0.3 * draw());
    }
    mlp_data data = make_data(shapes[p->shape].rows, sizes[0], sizes[n_layers], loss);
    mlp_data given = data;
    if (p->shape % 2 == 0) { /* unweighted: Adam may update within the products whatever the penalty */
        given.weight.data = NULL;
    }
    CHECK(mlp_set_optimizer(net, &optimizers[o]) == NULL, "%s", p->what);
    mlp_progress_of(net)->dropout_key = draw_bits(NULL);
    mlp_random random = {NULL, draw_bits, draw_half_bits};
    mlp_fit_settings settings = {.epochs = EPOCHS, .batch_size = full ? 0 : shapes[p->shape].batch, .shuffle = &random};
    mlp_call call = {0};
    mlp_fit_result result;
    mlp_status status = mlp_fit(net, &given, &settings, &result, &call);
    CHECK(status == MLP_OK && result.reason != MLP_DIVERGED, "%s: %d", p->what, status);
    uint64_t h =
        hash_network(net, &given, p->dtype == MLP_F64 ? sizeof(double) : sizeof(float), n_layers, sizes[n_layers]);
    free_data(&data);
    mlp_destroy(net);
    return h;
}

static void compare(problem *p) {
    const char *best = mlp_kernels_available(0);
    uint64_t expected = train(p, best);
    for (size_t k = 1; mlp_kernels_available(k) != NULL; k++) {
        const char *name = mlp_kernels_available(k);
        CHECK(strcmp(name, "generic") == 0 || train(p, name) == expected, "%s is not %s: %s", name, best, p->what);
    }
}

int main(int argc, char **argv) {
    for (size_t shape = 0; shape < N_SHAPES; shape++) {
        for (size_t optimizer = 0; optimizer < N_OPTIMIZERS; optimizer++) {
            for (int dtype = 0; dtype < 2; dtype++) {
                problem p = {.shape = shape, .optimizer = optimizer, .dtype = dtype == 0 ? MLP_F32 : MLP_F64};
                if (argc == 1) {
                    compare(&p);
                } else {
                    uint64_t h = train(&p, argv[1]);
                    printf("%016" PRIx64 " %s\n", h, p.what);
                }
            }
        }
    }
    if (argc == 1) {
        return check_summary();
    }
    return checks_failed == 0 ? 0 : 1;
}
