/* elementwise.h: loops over the elements of tiles: activations and their derivatives, sums of columns. */

/* a = g(a + bias), d = dg(a + bias); the callers below fix g, dg and whether there is d. In place of biases that there
 * are not, -0 is added, which changes no number: the code for an activation is long, and here once. */
ALWAYS_INLINE void map_forward(real *a, real *d, const real *bias, size_t rows, size_t n, size_t ld, vec (*g)(vec),
                               vec (*dg)(vec)) {
    real nothing[LANES];
    v_store(nothing, v_set1(-(real)0));
    const real *added = bias == NULL ? nothing : bias;
    size_t along = bias == NULL ? 0 : SIZE_MAX;
    for (size_t i = 0; i < rows; i++, a += ld) {
        for (size_t j = 0; j < n; j += LANES) {
            vec z = v_held(v_add(v_load(a + j), v_load(added + (j & along))));
            if (d != NULL) {
                v_store(d + i * ld + j, dg(z));
            }
            v_store(a + j, g(z));
        }
    }
}

ALWAYS_INLINE void map_backward(real *dz, const real *a, const real *column, const real *row, size_t rows, size_t n,
                                size_t ld, vec (*dg)(vec)) {
    for (size_t i = 0; i < rows; i++) {
        vec factor = row == NULL ? v_zero() : v_set1(column[i]);
        for (size_t j = 0; j < n; j += LANES) {
            size_t at = i * ld + j;
            vec da = row == NULL ? v_load(dz + at) : v_mul(factor, v_load(row + j));
            v_store(dz + at, v_mul(da, dg(v_held(v_load(a + at)))));
        }
    }
}

static inline vec unchanged(vec d) { return d; }

/* Where g' follows from the output, d is not asked for in the forward pass and `a` comes to the backward pass; where it
 * follows from the input, the forward pass leaves g' in d and d comes to the backward pass. */
#define FROM_OUTPUT(name) d_##name
#define FROM_INPUT(name) unchanged
#define ASKED_FROM_OUTPUT(d) ((void)(d), NULL)
#define ASKED_FROM_INPUT(d) (d)
#define ACTIVATION(name, from)                                                                                  \
    static void forward_##name(void *a, void *slopes, const void *bias, size_t rows, size_t n, size_t ld) {     \
        real *d = ASKED_##from(slopes);                                                                         \
        if (d == NULL) {                                                                                        \
            map_forward(a, NULL, bias, rows, n, ld, g_##name, d_##name);                                        \
        } else {                                                                                                \
            map_forward(a, d, bias, rows, n, ld, g_##name, d_##name);                                           \
        }                                                                                                       \
    }                                                                                                           \
    static void backward_##name(void *dz, const void *a_or_d, const void *column, const void *row, size_t rows, \
                                size_t n, size_t ld) {                                                          \
        if (row == NULL) {                                                                                      \
            map_backward(dz, a_or_d, NULL, NULL, rows, n, ld, from(name));                                      \
        } else {                                                                                                \
            map_backward(dz, a_or_d, column, row, rows, n, ld, from(name));                                     \
        }                                                                                                       \
    }
MLP_ACTIVATIONS(ACTIVATION)
#undef ACTIVATION
#undef FROM_OUTPUT
#undef FROM_INPUT
#undef ASKED_FROM_OUTPUT
#undef ASKED_FROM_INPUT

/* The output activation of the Poisson loss; its derivative is never asked for. */
static void exponential(void *a, size_t rows, size_t n, size_t ld) {
    map_forward(a, NULL, NULL, rows, n, ld, f_exp, unchanged);
}

static void multiply(void *a, const void *b, size_t rows, size_t n, size_t ld) {
    real *left = a;
    const real *right = b;
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < n; j += LANES) {
            size_t at = i * ld + j;
            v_store(left + at, v_mul(v_load(left + at), v_load(right + at)));
        }
    }
}

/* Of `count` vectors of columns side by side: one by itself would wait for each addition. */
ALWAYS_INLINE void sum_columns(real *sums, const real *a, size_t ld, size_t rows, size_t n, bool accumulate,
                               const int count) {
    vec sum[4];
    for (int j = 0; j < count; j++) {
        size_t at = (size_t)j * LANES;
        sum[j] = accumulate ? v_load_n(sums + at, n - at) : v_zero();
    }
    for (size_t i = 0; i < rows; i++, a += ld) {
        for (int j = 0; j < count; j++) {
            sum[j] = v_add(sum[j], v_load(a + (size_t)j * LANES));
        }
    }
    for (int j = 0; j < count; j++) {
        size_t at = (size_t)j * LANES;
        v_store_n(sums + at, sum[j], n - at);
    }
}

/* n columns, from column j on 4, 2 or 1 vectors of them at a time. */
#define BY_VECTORS(j, n, pass)                    \
    size_t j = 0;                                 \
    for (; j + 3 * LANES < (n); j += 4 * LANES) { \
        pass(4);                                  \
    }                                             \
    if (j + LANES < (n)) {                        \
        pass(2);                                  \
        j += 2 * LANES;                           \
    }                                             \
    if (j < (n)) {                                \
        pass(1);                                  \
    }

static void column_sums(void *sums, const void *a, size_t ld, size_t rows, size_t n, bool accumulate) {
#define PASS(vectors) sum_columns((real *)sums + j, (const real *)a + j, ld, rows, n - j, accumulate, vectors)
    BY_VECTORS(j, n, PASS)
#undef PASS
}
