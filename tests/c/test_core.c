/* test_core.c: the core by itself, through mlp.h alone: gradients against central differences, every type and
 * stride of data, resuming, stopping, interrupting, rejecting. */
#include "mlp.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "network.h"

enum { MOST = 256 * 90 };

/* ---- Data and networks that are the same every time. */
static uint64_t seed = 1;

static double draw(void) { /* uniform on (-1, 1) */
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(seed >> 11) * 0x1p-52 - 1.0;
}

typedef struct {
    double x[MOST], y[MOST], weight[MOST];
    mlp_data data;
} problem;

static problem *make_problem(size_t n, size_t inputs, size_t outputs, const char *loss) {
    static problem p;
    for (size_t i = 0; i < n * inputs; i++) {
        p.x[i] = draw();
    }
    for (size_t i = 0; i < n * outputs; i++) {
        p.y[i] = strcmp(loss, "poisson") == 0 ? floor(3 * fabs(draw()))
                 : strstr(loss, "entropy")    ? fabs(draw())
                                              : draw();
    }
    for (size_t i = 0; i < n && strcmp(loss, "categorical_cross_entropy") == 0; i++) {
        double sum = 0;
        for (size_t k = 0; k < outputs; k++) {
            sum += p.y[i * outputs + k];
        }
        for (size_t k = 0; k < outputs; k++) {
            p.y[i * outputs + k] /= sum;
        }
    }
    for (size_t i = 0; i < n; i++) {
        p.weight[i] = i % 7 == 3 ? 0 : fabs(draw());
    }
    ptrdiff_t item = sizeof(double);
    p.data = (mlp_data){.x = {p.x, MLP_FLOAT64, false, n, inputs, (ptrdiff_t)inputs * item, item},
                        .y = {p.y, MLP_FLOAT64, false, n, outputs, (ptrdiff_t)outputs * item, item},
                        .weight = {p.weight, MLP_FLOAT64, false, n, 1, item, item}};
    return &p;
}

static mlp_network *make_network(const mlp_spec *spec) {
    CHECK(mlp_check(spec) == NULL, "%s", mlp_check(spec));
    mlp_network *net = mlp_create(spec);
    for (size_t i = 0; i < mlp_n_parameters(net); i++) {
        set_parameter(net, spec->dtype, i, 0.6 * draw());
    }
    return net;
}

/* ---- Gradients. */
static void check_gradient(const mlp_spec *spec, const char *what) {
    size_t L = spec->n_layers, n = 21, inputs = spec->layer_sizes[0], outputs = spec->layer_sizes[L];
    problem *p = make_problem(n, inputs, outputs, spec->loss);
    mlp_network *net = make_network(spec);
    size_t N = mlp_n_parameters(net);
    double *w = mlp_parameters(net), *g = malloc(N * sizeof *g), *gx = malloc(n * inputs * sizeof *gx), objective;
    mlp_call call = {0};
    mlp_wanted wanted = {.objective = &objective, .gradient = g, .input_gradient = gx};
    mlp_status status = mlp_evaluate(net, &wanted, NULL, &p->data, &call);
    CHECK(status == MLP_OK && isfinite(objective), "%s %s: %d", what, spec->loss, status);
    const double h = 1e-6;
    for (size_t i = 0; i < N + n * inputs; i += 1 + N / 11) {
        double *at = i < N ? &w[i] : &p->x[i - N], kept = *at, up, down;
        *at = kept + h;
        mlp_evaluate(net, &(mlp_wanted){.objective = &up}, NULL, &p->data, &call);
        *at = kept - h;
        mlp_evaluate(net, &(mlp_wanted){.objective = &down}, NULL, &p->data, &call);
        *at = kept;
        double numeric = (up - down) / (2 * h), exact = i < N ? g[i] : gx[i - N];
        CHECK(fabs(numeric - exact) < 2e-6 * (1 + fabs(exact)), "%s %s %zu: %g, differences say %g", what, spec->loss,
              i, exact, numeric);
    }
    free(g);
    free(gx);
    mlp_destroy(net);
}

static void test_gradients(void) {
    const size_t narrow[] = {2, 3, 4, 2}, wide[] = {3, 17, 33, 2};
    for (size_t a = 0; mlp_activation_name(a) != NULL; a++) {
        for (size_t l = 0; mlp_loss_name(l) != NULL; l++) {
            const char *hidden = mlp_activation_name(a), *loss = mlp_loss_name(l), *own = mlp_loss_activation(loss);
            bool elementwise = strcmp(own, "identity") == 0;
            const char *activations[] = {hidden, hidden, elementwise && l % 2 ? hidden : own};
            for (int variant = 0; variant < 4; variant++) {
                mlp_spec spec = {.n_layers = 3,
                                 .layer_sizes = variant < 2 ? narrow : wide,
                                 .activations = activations,
                                 .loss = loss,
                                 .sum = variant % 2,
                                 .l1 = 0.01,
                                 .l2 = 0.02,
                                 .bias = variant != 1,
                                 .dtype = MLP_F64};
                check_gradient(&spec, hidden);
            }
        }
    }
    check_gradient(&(mlp_spec){.n_layers = 1,
                               .layer_sizes = (size_t[]){5, 1},
                               .activations = (const char *[]){"sigmoid"},
                               .loss = "binary_cross_entropy",
                               .bias = true,
                               .dtype = MLP_F64},
                   "no hidden layer");
}

/* More samples than units, with every set of kernels: what is packed has room. The objective's slope along the
 * gradient. */
static void test_many_samples(void) {
    const size_t sizes[3][4] = {{20, 100, 1, 0}, {90, 40, 130, 3}, {7, 33, 65, 3}};
    const char *sets[] = {"generic", "avx2", "avx512", "neon"};
    for (size_t i = 0; i < 24; i++) {
        const size_t *layers = sizes[i % 3];
        mlp_spec spec = {.n_layers = i % 3 == 0 ? 2 : 3,
                         .layer_sizes = layers,
                         .activations = (const char *[]){"tanh", i % 3 == 0 ? "identity" : "tanh", "identity"},
                         .loss = "squared_error",
                         .kernels = sets[i / 6],
                         .bias = true,
                         .dtype = i / 3 % 2 == 0 ? MLP_F64 : MLP_F32};
        if (mlp_check(&spec) != NULL) {
            continue;
        }
        problem *p = make_problem(256, layers[0], layers[spec.n_layers], spec.loss);
        mlp_network *net = make_network(&spec);
        size_t N = mlp_n_parameters(net);
        void *g = malloc(N * sizeof(double));
        double objective, moved, square = 0, h = spec.dtype == MLP_F64 ? 1e-6 : 1e-3;
        mlp_call call = {0};
        mlp_status status =
            mlp_evaluate(net, &(mlp_wanted){.objective = &objective, .gradient = g}, NULL, &p->data, &call);
        CHECK(status == MLP_OK && isfinite(objective), "%s: %d", spec.kernels, status);
        for (size_t j = 0; j < N; j++) {
            double slope = spec.dtype == MLP_F64 ? ((double *)g)[j] : (double)((float *)g)[j];
            square += slope * slope;
        }
        for (size_t j = 0; j < N; j++) {
            if (spec.dtype == MLP_F64) {
                ((double *)mlp_parameters(net))[j] -= h * ((double *)g)[j] / sqrt(square);
            } else {
                ((float *)mlp_parameters(net))[j] -= (float)h * ((float *)g)[j] / (float)sqrt(square);
            }
        }
        mlp_evaluate(net, &(mlp_wanted){.objective = &moved}, NULL, &p->data, &call);
        double slope = (objective - moved) / h;
        CHECK(fabs(slope / sqrt(square) - 1) < 0.05, "%s %zu: %g, differences say %g", spec.kernels, i, sqrt(square),
              slope);
        free(g);
        mlp_destroy(net);
    }
}

/* ---- Data: every type, stride and byte order reads as the same values. */
static void put(unsigned char *at, mlp_type type, int value, bool swapped) {
    union {
        int8_t i8;
        uint8_t u8;
        int16_t i16;
        uint16_t u16;
        int32_t i32;
        uint32_t u32;
        int64_t i64;
        uint64_t u64;
        float f32;
        double f64;
        unsigned char bytes[8];
    } u = {.u64 = 0};
    size_t size = 8;
    static const uint16_t halves[] = {0x0000, 0x3c00, 0x4000, 0x4200}; /* 0, 1, 2, 3 */
    switch (type) {
    case MLP_BOOL:
    case MLP_UINT8:
        u.u8 = (uint8_t)value;
        size = 1;
        break;
    case MLP_INT8:
        u.i8 = (int8_t)value;
        size = 1;
        break;
    case MLP_INT16:
        u.i16 = (int16_t)value;
        size = 2;
        break;
    case MLP_UINT16:
        u.u16 = (uint16_t)value;
        size = 2;
        break;
    case MLP_INT32:
        u.i32 = value;
        size = 4;
        break;
    case MLP_UINT32:
        u.u32 = (uint32_t)value;
        size = 4;
        break;
    case MLP_INT64: u.i64 = value; break;
    case MLP_UINT64: u.u64 = (uint64_t)value; break;
    case MLP_FLOAT16:
        u.u16 = halves[value];
        size = 2;
        break;
    case MLP_FLOAT32:
        u.f32 = (float)value;
        size = 4;
        break;
    case MLP_FLOAT64: u.f64 = value; break;
    case MLP_CSR: break; /* no type of an element */
    }
    for (size_t i = 0; i < size; i++) {
        at[i] = u.bytes[swapped ? size - 1 - i : i];
    }
}

static void test_rows(void) {
    enum { ROWS = 9, COLUMNS = 3 };
    const size_t sizes[2][3] = {{COLUMNS, 4, 2}, {COLUMNS, 40, 2}};
    for (int shape = 0; shape < 2; shape++) {
        mlp_spec spec = {.n_layers = 2,
                         .layer_sizes = sizes[shape],
                         .activations = (const char *[]){"tanh", "identity"},
                         .loss = "squared_error",
                         .bias = true,
                         .dtype = shape == 0 ? MLP_F32 : MLP_F64};
        mlp_network *net = make_network(&spec);
        int values[ROWS][COLUMNS];
        double plain[ROWS][COLUMNS], expected[ROWS * 2] = {0}, got[ROWS * 2];
        for (int i = 0; i < ROWS * COLUMNS; i++) {
            values[i / COLUMNS][i % COLUMNS] = (i * 7) % 2;
            plain[i / COLUMNS][i % COLUMNS] = values[i / COLUMNS][i % COLUMNS];
        }
        mlp_call call = {0};
        mlp_rows x = {plain, MLP_FLOAT64, false, ROWS, COLUMNS, sizeof plain[0], sizeof plain[0][0]};
        CHECK(mlp_forward(net, (void *[]){NULL, expected}, &x, &call) == MLP_OK, "forward");
        for (int type = MLP_BOOL; type <= MLP_FLOAT64; type++) {
            for (int layout = 0; layout < 8; layout++) {
                static unsigned char room[16 * ROWS * COLUMNS * 2 + 1];
                bool swapped = layout & 1, fortran = layout & 2, backwards = layout & 4;
                ptrdiff_t unit = 11, row = fortran ? unit : unit * COLUMNS, column = fortran ? unit * ROWS : unit;
                unsigned char *base = room + 1 + (backwards ? row * (ROWS - 1) : 0);
                row = backwards ? -row : row;
                for (int i = 0; i < ROWS; i++) {
                    for (int j = 0; j < COLUMNS; j++) {
                        put(base + i * row + j * column, (mlp_type)type, values[i][j], swapped);
                    }
                }
                mlp_rows odd = {base, (mlp_type)type, swapped, ROWS, COLUMNS, row, column};
                memset(got, 0xff, sizeof got);
                CHECK(mlp_forward(net, (void *[]){NULL, got}, &odd, &call) == MLP_OK, "forward");
                size_t bytes = ROWS * 2 * (spec.dtype == MLP_F32 ? sizeof(float) : sizeof(double));
                CHECK(memcmp(got, expected, bytes) == 0, "type %d layout %d", type, layout);
            }
        }
        mlp_destroy(net);
    }
}

/* Labels are what a loop over the outputs finds; the first row with a NaN is told. */
static void test_labels(void) {
    enum { ROWS = 77, INPUTS = 4, CLASSES = 40, BAD = 41 };
    const struct {
        const char *loss, *output;
        size_t sizes[3];
        mlp_dtype dtype;
    } runs[] = {
        {"categorical_cross_entropy", "softmax", {INPUTS, 3, 5}, MLP_F32}, /* in lanes */
        {"categorical_cross_entropy", "softmax", {INPUTS, 30, 7}, MLP_F64},
        {"categorical_cross_entropy", "softmax", {INPUTS, 30, CLASSES}, MLP_F32}, /* by rows */
        {"categorical_cross_entropy", "softmax", {INPUTS, 30, 33}, MLP_F64},
        {"binary_cross_entropy", "sigmoid", {INPUTS, 3, 1}, MLP_F64},
        {"binary_cross_entropy", "sigmoid", {INPUTS, 30, 3}, MLP_F32},
    };
    for (size_t r = 0; r < sizeof runs / sizeof *runs; r++) {
        mlp_spec spec = {.n_layers = 2,
                         .layer_sizes = runs[r].sizes,
                         .activations = (const char *[]){"tanh", runs[r].output},
                         .loss = runs[r].loss,
                         .bias = true,
                         .dtype = runs[r].dtype};
        mlp_network *net = make_network(&spec);
        bool binary = strcmp(runs[r].output, "sigmoid") == 0;
        size_t outputs = runs[r].sizes[2], a_row = binary ? outputs : 1;
        double x[ROWS][INPUTS], thresholds[CLASSES];
        float floats[ROWS * CLASSES];
        double doubles[ROWS * CLASSES];
        int64_t labels[ROWS * CLASSES];
        for (size_t i = 0; i < ROWS * INPUTS; i++) {
            x[i / INPUTS][i % INPUTS] = (double)(i * 7 % 11) / 5 - 1;
        }
        mlp_call call = {0};
        mlp_rows rows = {x, MLP_FLOAT64, false, ROWS, INPUTS, sizeof x[0], sizeof x[0][0]};
        void *out = spec.dtype == MLP_F32 ? (void *)floats : (void *)doubles;
        CHECK(mlp_forward(net, (void *[]){NULL, out}, &rows, &call) == MLP_OK, "forward %zu", r);
        for (size_t i = 0; i < ROWS * outputs && spec.dtype == MLP_F32; i++) {
            doubles[i] = (double)floats[i];
        }
        for (size_t k = 0; k < outputs; k++) {
            thresholds[k] = doubles[3 * outputs + k];
        }
        CHECK(mlp_predict(net, labels, thresholds, &rows, &call) == MLP_OK, "predict %zu", r);
        for (size_t i = 0; i < ROWS; i++) {
            const double *p = doubles + i * outputs;
            size_t largest = 0;
            for (size_t k = 0; k < outputs; k++) {
                largest = p[k] > p[largest] ? k : largest;
                int64_t reached = p[k] >= thresholds[k];
                CHECK(!binary || labels[i * a_row + k] == reached, "run %zu row %zu output %zu", r, i, k);
            }
            CHECK(binary || labels[i] == (int64_t)largest, "run %zu row %zu", r, i);
        }
        x[BAD][1] = x[ROWS - 1][0] = (double)NAN;
        CHECK(mlp_predict(net, labels, thresholds, &rows, &call) == MLP_BAD_OUTPUT, "run %zu", r);
        CHECK(call.row == BAD, "run %zu: row %zu", r, call.row);
        mlp_destroy(net);
    }
}

/* Sparse rows, their indices in no order and one of them twice, read as the dense ones; bad ones are refused. */
static void test_sparse(void) {
    enum { ROWS = 4, COLUMNS = 5, VALUES = 7, HIDDEN = 40 };
    static const double dense[ROWS][COLUMNS] = {{0, 3, 0, 0, -1}, {0}, {2.5, 0, 0, 0, 0}, {0, 0, 0.5, 1, 4}};
    const float values[VALUES] = {-1, 1, 2, 2.5, 4, 0.5, 1};
    for (int variant = 0; variant < 8; variant++) {
        bool lanes = variant & 1, wide = variant & 2;
        int32_t columns[VALUES] = {4, 1, 1, 0, 4, 2, 3}, starts[ROWS + 1] = {0, 3, 3, 4, 7};
        int64_t wide_columns[VALUES], wide_starts[ROWS + 1];
        for (int k = 0; k < VALUES; k++) {
            wide_columns[k] = columns[k];
        }
        for (int i = 0; i <= ROWS; i++) {
            wide_starts[i] = starts[i];
        }
        mlp_type type = wide ? MLP_INT64 : MLP_INT32;
        ptrdiff_t size = wide ? 8 : 4;
        mlp_csr csr = {.values = {values, MLP_FLOAT32, false, VALUES, 1, sizeof values[0], 0},
                       .indices = {wide ? (void *)wide_columns : columns, type, false, VALUES, 1, size, 0},
                       .pointers = {wide ? (void *)wide_starts : starts, type, false, ROWS + 1, 1, size, 0}};
        mlp_rows plain = {dense, MLP_FLOAT64, false, ROWS, COLUMNS, sizeof dense[0], sizeof dense[0][0]};
        mlp_rows sparse = {&csr, MLP_CSR, false, ROWS, COLUMNS, 0, 0};
        mlp_spec spec = {.n_layers = 2,
                         .layer_sizes = (size_t[]){COLUMNS, lanes ? 3 : HIDDEN, 1},
                         .activations = (const char *[]){"tanh", "identity"},
                         .loss = "squared_error",
                         .bias = true,
                         .dtype = variant & 4 ? MLP_F32 : MLP_F64};
        mlp_network *net = make_network(&spec);
        double expected[ROWS] = {0}, got[ROWS] = {0}, input[ROWS][COLUMNS];
        mlp_call call = {0};
        CHECK(mlp_forward(net, (void *[]){NULL, expected}, &plain, &call) == MLP_OK, "dense");
        CHECK(mlp_forward(net, (void *[]){NULL, got}, &sparse, &call) == MLP_OK, "sparse");
        CHECK(memcmp(got, expected, sizeof got) == 0, "variant %d", variant);
        CHECK(mlp_input(net, input, &sparse, &call) == MLP_OK, "input");
        CHECK(spec.dtype == MLP_F32 || memcmp(input, dense, sizeof input) == 0, "input of variant %d", variant);
        for (size_t i = 0; i < ROWS * COLUMNS; i++) {
            CHECK(mlp_element(&sparse, i / COLUMNS, i % COLUMNS) == dense[i / COLUMNS][i % COLUMNS], "element %zu", i);
        }
        struct {
            int32_t *narrow;
            int64_t *at, value;
            size_t row;
        } cases[] = {{&columns[4], &wide_columns[4], -1, 3},
                     {&columns[4], &wide_columns[4], COLUMNS, 3},
                     {&starts[2], &wide_starts[2], 2, 1},
                     {&starts[4], &wide_starts[4], VALUES + 1, 3},
                     {&starts[0], &wide_starts[0], INT32_MIN, 0}};
        double y[ROWS] = {0};
        mlp_data data = {.x = sparse, .y = {y, MLP_FLOAT64, false, ROWS, 1, sizeof y[0], sizeof y[0]}};
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
            int64_t kept = wide ? *cases[c].at : *cases[c].narrow;
            *cases[c].at = cases[c].value;
            *cases[c].narrow = (int32_t)cases[c].value;
            mlp_fit_result result;
            mlp_status statuses[] = {mlp_forward(net, (void *[]){NULL, got}, &sparse, &call),
                                     mlp_input(net, input, &sparse, &call),
                                     mlp_fit(net, &data, &(mlp_fit_settings){.epochs = 1}, &result, &call)};
            for (int s = 0; s < 3; s++) {
                CHECK(statuses[s] == MLP_BAD_X && call.row == cases[c].row && call.column == SIZE_MAX,
                      "case %zu, call %d: %d, row %zu, %s", c, s, statuses[s], call.row, call.reason);
            }
            *cases[c].at = kept;
            *cases[c].narrow = (int32_t)kept;
        }
        mlp_destroy(net);
    }
}

/* Rows of so few values that the first layer's products leave the zeros out: the same bits, of a block and of more. */
static void test_few_values(void) {
    enum { ROWS = 300, COLUMNS = 70, FEW = COLUMNS / 8 };
    double *dense = calloc(ROWS * COLUMNS, sizeof *dense), y[ROWS];
    float *values = malloc(ROWS * FEW * sizeof *values);
    int32_t *columns = malloc(ROWS * FEW * sizeof *columns), starts[ROWS + 1];
    int32_t n = 0;
    for (int i = 0; i < ROWS; i++) {
        starts[i] = n;
        for (int k = 0; k < i % (FEW + 1); k++, n++) {
            columns[n] = k == FEW - 1 ? COLUMNS - 1 : 8 * k + (i + k) % 8;
            values[n] = (float)((31 * i + 17 * k) % 23 - 11) / 8;
            dense[i * COLUMNS + columns[n]] = (double)values[n];
        }
        y[i] = i % 7;
    }
    starts[ROWS] = n;
    mlp_csr csr = {.values = {values, MLP_FLOAT32, false, (size_t)n, 1, sizeof *values, 0},
                   .indices = {columns, MLP_INT32, false, (size_t)n, 1, sizeof *columns, 0},
                   .pointers = {starts, MLP_INT32, false, ROWS + 1, 1, sizeof *starts, 0}};
    mlp_rows forms[] = {{dense, MLP_FLOAT64, false, ROWS, COLUMNS, COLUMNS * sizeof *dense, sizeof *dense},
                        {&csr, MLP_CSR, false, ROWS, COLUMNS, 0, 0}};
    for (int variant = 0; variant < 12; variant++) {
        mlp_spec spec = {.n_layers = 2,
                         .layer_sizes = (size_t[]){COLUMNS, (size_t[]){3, 40, 100}[variant / 4], 1},
                         .activations = (const char *[]){"relu", "identity"},
                         .loss = "squared_error",
                         .bias = true,
                         .dtype = variant & 1 ? MLP_F32 : MLP_F64};
        mlp_network *nets[] = {make_network(&spec), make_network(&spec)};
        size_t bytes = mlp_n_parameters(nets[0]) * (variant & 1 ? sizeof(float) : sizeof(double));
        memcpy(mlp_parameters(nets[1]), mlp_parameters(nets[0]), bytes);
        for (int form = 0; form < 2; form++) {
            mlp_data data = {.x = forms[form], .y = {y, MLP_FLOAT64, false, ROWS, 1, sizeof *y, sizeof *y}};
            mlp_fit_settings settings = {.epochs = 2, .batch_size = variant & 2 ? 0 : 32};
            mlp_fit_result result;
            mlp_status status = mlp_fit(nets[form], &data, &settings, &result, &(mlp_call){0});
            CHECK(status == MLP_OK && result.reason == MLP_EPOCHS, "variant %d: %d", variant, status);
        }
        CHECK(memcmp(mlp_parameters(nets[0]), mlp_parameters(nets[1]), bytes) == 0, "variant %d", variant);
        mlp_destroy(nets[0]);
        mlp_destroy(nets[1]);
    }
    free(dense);
    free(values);
    free(columns);
}

/* ---- Training. */
typedef struct {
    int polls, stop_at; /* poll number that says stop; 0: none */
    int epochs, stop_epoch;
} watcher;

static int poll_once(void *context) {
    watcher *w = context;
    return ++w->polls == w->stop_at;
}

static int see_epoch(void *context, mlp_epoch *epoch, bool *stop) {
    watcher *w = context;
    w->epochs++;
    *stop = w->epochs == w->stop_epoch;
    epoch->stopping_value = (double)w->epochs; /* rises: the first is the best */
    return 0;
}

static const mlp_optimizer optimizers[] = {
    {.rule = "sgd", .learning_rate = 0.05, .momentum = 0.9, .nesterov = true, .clip_norm = 1.0},
    {.rule = "adam", .learning_rate = 0.01, .beta_1 = 0.9, .beta_2 = 0.999, .epsilon = 1e-8},
    {.rule = "adamw", .learning_rate = 0.01, .beta_1 = 0.9, .beta_2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.01},
    {.rule = "rmsprop", .learning_rate = 0.01, .rho = 0.9, .epsilon = 1e-8, .momentum = 0.5},
    {.rule = "rprop", .learning_rate = 0.01, .eta_minus = 0.5, .eta_plus = 1.2, .step_min = 1e-6, .step_max = 50},
    {.rule = "lbfgs", .history_size = 5, .tolerance = 1e-7},
};

static const mlp_spec small_spec = {.n_layers = 2,
                                    .layer_sizes = (size_t[]){4, 20, 1},
                                    .activations = (const char *[]){"tanh", "identity"},
                                    .loss = "half_squared_error",
                                    .bias = true,
                                    .dtype = MLP_F64};

static void test_optimizers(void) {
    for (size_t o = 0; o < sizeof optimizers / sizeof *optimizers; o++) {
        const char *rule = optimizers[o].rule;
        problem *p = make_problem(64, 4, 1, "half_squared_error");
        seed = 5;
        mlp_network *whole = make_network(&small_spec);
        seed = 5;
        mlp_network *parts = make_network(&small_spec);
        CHECK(mlp_set_optimizer(whole, &optimizers[o]) == NULL && mlp_set_optimizer(parts, &optimizers[o]) == NULL,
              "%s", rule);
        mlp_call call = {0};
        mlp_fit_result result;
        mlp_schedule schedule = {.kind = MLP_ONE_CYCLE, .epochs = 6, .peak = 3, .start_fraction = 0.3};
        mlp_fit_settings settings = {.epochs = 6, .batch_size = 16, .schedule = &schedule};
        CHECK(mlp_fit(whole, &p->data, &settings, &result, &call) == MLP_OK, "%s", rule);
        settings.epochs = 1;
        for (int e = 0; e < 6; e++) {
            CHECK(mlp_set_optimizer(parts, &optimizers[o]) == NULL, "%s keeps its state", rule);
            CHECK(mlp_fit(parts, &p->data, &settings, &result, &call) == MLP_OK, "%s", rule);
        }
        size_t bytes = mlp_n_parameters(whole) * sizeof(double);
        CHECK(memcmp(mlp_parameters(whole), mlp_parameters(parts), bytes) == 0, "%s: in parts", rule);
        const mlp_history *h = mlp_history_of(whole);
        CHECK(h->n_epochs == 6 && h->loss[5] < h->loss[0], "%s: %g to %g", rule, h->loss[0], h->loss[5]);
        CHECK(mlp_progress_of(whole)->epoch == 6, "%s", rule);
        mlp_destroy(whole);
        mlp_destroy(parts);
    }
}

/* Whether two runs come to the same parameters; the second with these weights of samples, or NULL. */
static bool same_run(const mlp_spec *spec, const mlp_optimizer *first, const mlp_optimizer *second,
                     const mlp_fit_settings *settings, const void *weights) {
    problem *p = make_problem(64, 4, 1, "half_squared_error");
    mlp_network *nets[2];
    for (int i = 0; i < 2; i++) {
        seed = 5;
        nets[i] = make_network(spec);
        mlp_set_optimizer(nets[i], i == 0 ? first : second);
        mlp_data data = p->data;
        data.weight.data = i == 1 ? weights : NULL;
        mlp_fit_result result;
        mlp_call call = {0};
        CHECK(mlp_fit(nets[i], &data, settings, &result, &call) == MLP_OK, "run %d", i);
    }
    bool same =
        memcmp(mlp_parameters(nets[0]), mlp_parameters(nets[1]), mlp_n_parameters(nets[0]) * sizeof(double)) == 0;
    mlp_destroy(nets[0]);
    mlp_destroy(nets[1]);
    return same;
}

/* What a rule or a schedule does not name does not count: classic is of sgd and adam, fractions of epochs of what acts
 * per step. */
static void test_what_does_not_count(void) {
    const mlp_fit_settings settings = {.epochs = 3, .batch_size = 16};
    mlp_optimizer rmsprop = optimizers[3], classic = rmsprop;
    classic.classic = true;
    classic.beta_2 = 0.999;
    CHECK(same_run(&small_spec, &rmsprop, &classic, &settings, NULL), "a classic rmsprop");
    const mlp_spec narrow = {.n_layers = 1,
                             .layer_sizes = (size_t[]){4, 1},
                             .activations = (const char *[]){"identity"},
                             .loss = "half_squared_error",
                             .bias = true,
                             .dtype = MLP_F64};
    const mlp_schedule steps = {.kind = MLP_STEP_DECAY, .epochs = 1.5, .factor = 0.1};
    const mlp_optimizer plain = {.rule = "sgd", .learning_rate = 0.01};
    double ones[64];
    for (int i = 0; i < 64; i++) {
        ones[i] = 1;
    }
    /* Weights of ones take the general way, in which a step knows how much of the epoch is over. */
    CHECK(
        same_run(&narrow, &plain, &plain, &(mlp_fit_settings){.epochs = 3, .batch_size = 1, .schedule = &steps}, ones),
        "half an epoch of a step decay");
}

static void test_stopping(void) {
    problem *p = make_problem(64, 4, 1, "half_squared_error");
    mlp_network *net = make_network(&small_spec);
    mlp_set_optimizer(net, &optimizers[1]);
    double *after_one = malloc(mlp_n_parameters(net) * sizeof(double));
    watcher w = {0};
    mlp_hooks hooks = {.epoch_end = see_epoch, .context = &w};
    mlp_fit_settings settings = {.epochs = 50,
                                 .batch_size = 16,
                                 .hooks = &hooks,
                                 .validation = &p->data,
                                 .stopping = {.monitor = MLP_HOOK_VALUE, .patience = 4, .restore_best = true}};
    mlp_call call = {0};
    mlp_fit_result result;
    mlp_network *twin = make_network(&small_spec);
    memcpy(mlp_parameters(twin), mlp_parameters(net), mlp_n_parameters(net) * sizeof(double));
    mlp_set_optimizer(twin, &optimizers[1]);
    CHECK(mlp_fit(net, &p->data, &settings, &result, &call) == MLP_OK, "early stopping");
    CHECK(result.reason == MLP_EARLY_STOPPING && result.best_epoch == 1 && w.epochs == 5, "best %d after %d",
          (int)result.best_epoch, w.epochs);
    mlp_fit(twin, &p->data, &(mlp_fit_settings){.epochs = 1, .batch_size = 16}, &result, &call);
    CHECK(memcmp(mlp_parameters(net), mlp_parameters(twin), mlp_n_parameters(net) * sizeof(double)) == 0,
          "the best epoch");
    CHECK(isfinite(mlp_history_of(net)->validation_loss[4]), "validated");
    w = (watcher){.stop_epoch = 3};
    settings.stopping.patience = 0;
    CHECK(mlp_fit(net, &p->data, &settings, &result, &call) == MLP_OK && result.reason == MLP_CALLBACK && w.epochs == 3,
          "callback");
    mlp_destroy(twin);
    /* Divergence: back to the last finite epoch, which is before the first. */
    mlp_set_optimizer(net, &(mlp_optimizer){.rule = "sgd", .learning_rate = 1e200});
    memcpy(after_one, mlp_parameters(net), mlp_n_parameters(net) * sizeof(double));
    uint64_t epoch = mlp_progress_of(net)->epoch;
    CHECK(mlp_fit(net, &p->data, &(mlp_fit_settings){.epochs = 9, .batch_size = 16}, &result, &call) == MLP_OK,
          "diverges");
    CHECK(result.reason == MLP_DIVERGED && result.diverged_epoch == epoch + 1 && result.diverged_step >= 1, "%d",
          (int)result.reason);
    CHECK(memcmp(after_one, mlp_parameters(net), mlp_n_parameters(net) * sizeof(double)) == 0, "taken back");
    free(after_one);
    mlp_destroy(net);
}

/* Interrupted anywhere, the network is where some whole number of steps left it. */
static void test_interrupting(void) {
    enum { ROWS = 32, WIDTH = 40, STEPS = 12 };
    mlp_spec spec = small_spec;
    spec.n_layers = 3;
    spec.layer_sizes = (size_t[]){WIDTH, 600, 600, 1};
    spec.activations = (const char *[]){"relu", "relu", "identity"};
    problem *p = make_problem(ROWS, WIDTH, 1, spec.loss);
    for (size_t o = 0; o < sizeof optimizers / sizeof *optimizers; o++) {
        for (int stop_at = 1; stop_at < (o < 5 ? 12 : 56); stop_at += o < 5 ? 3 : 5) {
            seed = 3;
            mlp_network *net = make_network(&spec);
            seed = 3;
            mlp_network *twin = make_network(&spec);
            size_t bytes = mlp_n_parameters(net) * sizeof(double);
            mlp_set_optimizer(net, &optimizers[o]);
            mlp_set_optimizer(twin, &optimizers[o]);
            watcher w = {.stop_at = stop_at};
            mlp_call call = {.poll = poll_once, .context = &w}, quiet = {0};
            mlp_fit_result result;
            mlp_status status = mlp_fit(net, &p->data, &(mlp_fit_settings){.epochs = STEPS / 2, .batch_size = ROWS / 2},
                                        &result, &call);
            CHECK(status == MLP_INTERRUPTED, "%s: %d", optimizers[o].rule, status);
            bool found = memcmp(mlp_parameters(net), mlp_parameters(twin), bytes) == 0;
            for (int s = 0; s < STEPS && !found; s++) { /* half an epoch at a time */
                mlp_data half = p->data;
                bool full = o >= 4;
                half.x.n_rows = half.y.n_rows = half.weight.n_rows = full ? ROWS : ROWS / 2;
                ptrdiff_t skip = full ? 0 : s % 2 * (ROWS / 2);
                half.x.data = p->x + skip * WIDTH;
                half.y.data = p->y + skip;
                half.weight.data = p->weight + skip;
                mlp_fit(twin, &half, &(mlp_fit_settings){.partial = true}, &result, &quiet);
                found = memcmp(mlp_parameters(net), mlp_parameters(twin), bytes) == 0;
            }
            CHECK(found, "%s stopped at poll %d is between steps", optimizers[o].rule, stop_at);
            /* Where epochs are steps it goes on from there as if nothing had been. */
            uint64_t done = mlp_progress_of(net)->step;
            if (o >= 4 && done < STEPS / 2) {
                mlp_reset(twin);
                seed = 3;
                mlp_network *first = make_network(&spec);
                memcpy(mlp_parameters(twin), mlp_parameters(first), bytes);
                mlp_destroy(first);
                mlp_fit(twin, &p->data, &(mlp_fit_settings){.epochs = STEPS / 2}, &result, &quiet);
                mlp_fit(net, &p->data, &(mlp_fit_settings){.epochs = STEPS / 2 - done}, &result, &quiet);
                CHECK(memcmp(mlp_parameters(net), mlp_parameters(twin), bytes) == 0, "%s stopped at poll %d goes on",
                      optimizers[o].rule, stop_at);
            }
            mlp_destroy(net);
            mlp_destroy(twin);
        }
    }
}

/* A network that nobody has given an optimizer descends all the same. */
static void test_own_optimizer(void) {
    mlp_network *net = make_network(&small_spec);
    problem *p = make_problem(30, 4, 1, small_spec.loss);
    mlp_call call = {0};
    mlp_fit_result result;
    CHECK(mlp_fit(net, &p->data, &(mlp_fit_settings){.epochs = 20}, &result, &call) == MLP_OK, "fit");
    const mlp_history *history = mlp_history_of(net);
    CHECK(history->loss[19] < history->loss[0], "from %g to %g", history->loss[0], history->loss[19]);
    mlp_destroy(net);
}

/* ---- Rejections leave everything alone. */
static void test_rejections(void) {
    mlp_spec good = small_spec, bad = good;
    bad.layer_sizes = (size_t[]){4, 0, 1};
    CHECK(mlp_check(&bad) != NULL, "no units");
    bad.layer_sizes = (size_t[]){SIZE_MAX / 2, 3, 1};
    CHECK(mlp_check(&bad) != NULL, "too wide");
    bad.layer_sizes = (size_t[]){(size_t)1 << 33, (size_t)1 << 33, 1};
    CHECK(mlp_check(&bad) != NULL, "overflow");
    bad = good;
    bad.activations = (const char *[]){"tanh", "softmax"};
    CHECK(mlp_check(&bad) != NULL, "softmax under squared error");
    bad = good;
    bad.l1 = (double)NAN;
    CHECK(mlp_check(&bad) != NULL, "l1");
    bad = good;
    bad.kernels = "abacus";
    CHECK(mlp_check(&bad) != NULL, "kernels");
    bad = good;
    bad.loss = "huber";
    bad.loss_parameters = (double[]){-1};
    bad.n_loss_parameters = 1;
    CHECK(mlp_check(&bad) != NULL, "delta");

    problem *p = make_problem(30, 4, 1, good.loss);
    mlp_network *net = make_network(&good);
    CHECK(mlp_set_optimizer(net, &(mlp_optimizer){.rule = "sgd", .learning_rate = -1}) != NULL, "rate");
    CHECK(mlp_set_optimizer(net, &(mlp_optimizer){.rule = "newton"}) != NULL, "rule");
    mlp_set_optimizer(net, &optimizers[0]);
    size_t bytes = mlp_n_parameters(net) * sizeof(double);
    double *before = malloc(bytes);
    memcpy(before, mlp_parameters(net), bytes);
    mlp_fit_result result;
    mlp_fit_settings settings = {.epochs = 2, .batch_size = 7};
    struct {
        double *at, value;
        mlp_status status;
        size_t row, column;
    } cases[] = {
        {&p->x[4 * 29 + 3], (double)NAN, MLP_BAD_X, 29, 3}, {&p->x[2], (double)INFINITY, MLP_BAD_X, 0, 2},
        {&p->y[17], (double)NAN, MLP_BAD_Y, 17, 0},         {&p->weight[5], -1, MLP_BAD_WEIGHT, 5, 0},
        {&p->weight[6], (double)NAN, MLP_BAD_WEIGHT, 6, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double kept = *cases[i].at;
        *cases[i].at = cases[i].value;
        mlp_call call = {0};
        mlp_status status = mlp_fit(net, &p->data, &settings, &result, &call);
        CHECK(status == cases[i].status && call.row == cases[i].row && call.column == cases[i].column,
              "case %zu: %d %zu %zu", i, status, call.row, call.column);
        CHECK(memcmp(before, mlp_parameters(net), bytes) == 0 && mlp_progress_of(net)->step == 0, "untouched, case %zu",
              i);
        *cases[i].at = kept;
    }
    memset(p->weight, 0, sizeof p->weight);
    mlp_call call = {0};
    settings.validation = &p->data;
    mlp_data good_data = p->data;
    good_data.weight.data = NULL;
    CHECK(mlp_fit(net, &good_data, &settings, &result, &call) == MLP_BAD_WEIGHT && call.validation, "validation");
    CHECK(mlp_fit(net, &p->data, &settings, &result, &call) == MLP_BAD_WEIGHT && !call.validation, "not validation");
    CHECK(call.row == SIZE_MAX, "no weight");
    free(before);
    mlp_destroy(net);
    mlp_destroy(NULL);
}

/* ---- Shuffled rows, more than a cache holds: those that come next are fetched, and none after the last. The same bits
 * by rows and by columns. */
static uint64_t draw_64(void *state) {
    return *(uint64_t *)state = *(uint64_t *)state * UINT64_C(0xd1342543de82ef95) + 1;
}

static uint32_t draw_32(void *state) { return (uint32_t)(draw_64(state) >> 32); }

static void test_shuffled_rows(void) {
    const size_t sizes[2][3] = {{3, 4, 1}, {24, 40, 2}}, n_rows[2] = {40001, 5003};
    for (size_t i = 0; i < 4; i++) {
        const size_t *layers = sizes[i / 2], n = n_rows[i / 2], inputs = layers[0], outputs = layers[2];
        mlp_spec spec = {.n_layers = 2,
                         .layer_sizes = layers,
                         .activations = (const char *[]){"tanh", "identity"},
                         .loss = "squared_error",
                         .bias = true,
                         .dtype = i % 2 == 0 ? MLP_F64 : MLP_F32};
        double *x = malloc(n * inputs * sizeof *x), *columns = malloc(n * inputs * sizeof *x);
        double *y = malloc(n * outputs * sizeof *y);
        for (size_t k = 0; k < n * inputs; k++) {
            columns[k % inputs * n + k / inputs] = x[k] = draw();
        }
        for (size_t k = 0; k < n * outputs; k++) {
            y[k] = draw();
        }
        ptrdiff_t item = sizeof *x;
        mlp_network *nets[2];
        for (size_t k = 0; k < 2; k++) {
            mlp_data data = {.x = {x, MLP_FLOAT64, false, n, inputs, (ptrdiff_t)inputs * item, item},
                             .y = {y, MLP_FLOAT64, false, n, outputs, (ptrdiff_t)outputs * item, item}};
            if (k == 1) {
                data.x = (mlp_rows){columns, MLP_FLOAT64, false, n, inputs, item, (ptrdiff_t)n * item};
            }
            seed = 5;
            nets[k] = make_network(&spec);
            uint64_t state = 3;
            mlp_random random = {&state, draw_64, draw_32};
            mlp_fit_settings settings = {.epochs = 1, .batch_size = 32, .shuffle = &random};
            mlp_fit_result result;
            mlp_call call = {0};
            CHECK(mlp_fit(nets[k], &data, &settings, &result, &call) == MLP_OK, "shuffled %zu", i);
        }
        size_t bytes = mlp_n_parameters(nets[0]) * (spec.dtype == MLP_F64 ? sizeof(double) : sizeof(float));
        CHECK(memcmp(mlp_parameters(nets[0]), mlp_parameters(nets[1]), bytes) == 0, "by columns %zu", i);
        mlp_destroy(nets[0]);
        mlp_destroy(nets[1]);
        free(x);
        free(columns);
        free(y);
    }
}

int main(void) {
    test_gradients();
    test_many_samples();
    test_rows();
    test_labels();
    test_sparse();
    test_few_values();
    test_optimizers();
    test_what_does_not_count();
    test_stopping();
    test_interrupting();
    test_own_optimizer();
    test_rejections();
    test_shuffled_rows();
    return check_summary();
}
