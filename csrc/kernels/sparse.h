/* sparse.h: the products of a first layer whose inputs are sparse rows: of each only the values that are there. */

typedef struct {
    size_t count;
    const real *values;
    const uint32_t *columns;
} sparse_row;

static inline sparse_row sparse_row_at(const mlp_sparse *x, size_t i) {
    const char *row = (const char *)x->rows + i * x->apart;
    const real *values = (const void *)(row + sizeof(size_t));
    return (sparse_row){*(const size_t *)(const void *)row, values, (const void *)(values + x->most)};
}

/* `vectors` vectors of z from as many of w's columns, of which `left` are left. */
ALWAYS_INLINE void sparse_columns(real *z, const sparse_row *row, const real *w, size_t n_out, size_t left,
                                  const int vectors) {
    vec sum[4];
    UNROLL(4)
    for (int v = 0; v < vectors; v++) {
        sum[v] = v_zero();
    }
    for (size_t e = 0; e < row->count; e++) {
        const real *weights = w + row->columns[e] * n_out;
        vec value = v_set1(row->values[e]);
        UNROLL(4)
        for (int v = 0; v < vectors; v++) {
            size_t at = (size_t)v * LANES;
            vec weight = v + 1 < vectors ? v_load(weights + at) : v_load_n(weights + at, left - at);
            sum[v] = v_fma(value, weight, sum[v]);
        }
    }
    UNROLL(4)
    for (int v = 0; v < vectors; v++) {
        v_store(z + (size_t)v * LANES, sum[v]);
    }
}

static void sparse_forward(void *z, size_t ld, const mlp_sparse *x, const void *w, size_t n, size_t n_out) {
    for (size_t i = 0; i < n; i++) {
        sparse_row row = sparse_row_at(x, i);
#define PASS(vectors) sparse_columns((real *)z + i * ld + j, &row, (const real *)w + j, n_out, n_out - j, vectors)
        BY_VECTORS(j, n_out, PASS)
#undef PASS
    }
}

/* One lane of a fused multiply-add, or of what stands for it. */
static inline real multiply_add(real x, real y, real sum) {
    real lanes[LANES];
    v_store(lanes, v_fma(v_set1(x), v_set1(y), v_set1(sum)));
    return lanes[0];
}

/* As dots_forward. */
static void sparse_dots(void *z, size_t stride, const mlp_sparse *x, const void *w, const void *bias, size_t n,
                        size_t units) {
    for (size_t i = 0; i < n || i % WIDE != 0; i++) { /* after the last row come empty ones */
        sparse_row row = i < n ? sparse_row_at(x, i) : (sparse_row){0};
        for (size_t k = 0; k < units; k++) {
            real wide[WIDE] = {0};
            for (size_t e = 0; e < row.count; e++) {
                real *lane = wide + row.columns[e] % WIDE;
                *lane = multiply_add(row.values[e], ((const real *)w)[row.columns[e] * units + k], *lane);
            }
            real sum = add_up(wide, WIDE);
            ((real *)z)[k * stride + i] = bias == NULL ? sum : sum + ((const real *)bias)[k];
        }
    }
}

/* The first of a row's values in column `begin` or behind it. */
static inline size_t first_from(const sparse_row *row, size_t begin) {
    size_t first = 0, n = row->count;
    while (n > 0) {
        size_t half = n / 2;
        bool before = row->columns[first + half] < begin;
        first = before ? first + half + 1 : first;
        n = before ? n - half - 1 : half;
    }
    return first;
}

static void sparse_gradient(void *dw, const mlp_sparse *x, const void *dz, size_t ld, size_t n, size_t n_out,
                            size_t begin, size_t end) {
    for (size_t i = 0; i < n; i++) {
        sparse_row row = sparse_row_at(x, i);
        const real *delta = (const real *)dz + i * ld;
        for (size_t e = first_from(&row, begin); e < row.count && row.columns[e] < end; e++) {
            real *to = (real *)dw + row.columns[e] * n_out;
            vec value = v_set1(row.values[e]);
            for (size_t j = 0; j < n_out; j += LANES) {
                size_t left = n_out - j;
                v_store_n(to + j, v_fma(value, v_load_n(delta + j, left), v_load_n(to + j, left)), left);
            }
        }
    }
}
