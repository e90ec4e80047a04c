/* gemm.h: the matrix kernel and the packing of its right operand. Loops over panels and layers are matmul.c's.
 *
 * A register tile of up to TILE_ROWS rows by TILE_VECTORS vectors of C stays in registers while k runs; each step loads
 * TILE_VECTORS vectors of B and broadcasts one element of A a row. Everything about a tile's shape is a constant where it
 * is used, so that the loops over it unroll and its accumulators are registers. */

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE void product_tile(real *c, size_t ldc, const real *a, size_t a_row, size_t a_k, const real *b, size_t ldb,
                                size_t n, size_t k, bool accumulate, const int rows, const int vectors) {
    vec sum[12][TILE_VECTORS];
    size_t last = n - (size_t)(vectors - 1) * LANES; /* columns of the last vector */
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 16
        for (int j = 0; j < vectors; j++) {
            const real *from = c + (size_t)i * ldc + (size_t)j * LANES;
            if (!accumulate) {
                sum[i][j] = v_zero();
            } else {
                sum[i][j] = j + 1 < vectors ? v_load(from) : v_load_n(from, last);
            }
        }
    }
    for (size_t p = 0; p < k; p++, a += a_k, b += ldb) {
        vec left[12], right[TILE_VECTORS];
#pragma GCC unroll 16
        for (int i = 0; i < rows && rows <= vectors; i++) { /* the shorter side is held, the other comes one by one */
            left[i] = v_set1(a[(size_t)i * a_row]);
        }
#pragma GCC unroll 16
        for (int j = 0; j < vectors; j++) {
            right[j] = v_load(b + (size_t)j * LANES);
#pragma GCC unroll 16
            for (int i = 0; i < rows && rows <= vectors; i++) {
                sum[i][j] = v_fma(left[i], right[j], sum[i][j]);
            }
        }
#pragma GCC unroll 16
        for (int i = 0; i < rows && rows > vectors; i++) {
            left[i] = v_set1(a[(size_t)i * a_row]);
#pragma GCC unroll 16
            for (int j = 0; j < vectors; j++) {
                sum[i][j] = v_fma(left[i], right[j], sum[i][j]);
            }
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 16
        for (int j = 0; j < vectors; j++) {
            real *to = c + (size_t)i * ldc + (size_t)j * LANES;
            if (j + 1 < vectors) {
                v_store(to, sum[i][j]);
            } else {
                v_store_n(to, sum[i][j], last);
            }
        }
    }
}

/* Rows of a tile that is `vectors` wide: narrower ones are higher, so that as many chains are under way. */
#define TILE_HEIGHT(vectors) (TILE_ROWS * TILE_VECTORS / (vectors) < 12 ? TILE_ROWS * TILE_VECTORS / (vectors) : 12)

/* The rows of one panel, cut into tiles as even as can be: m = 13 with tiles of 6 is 5 + 4 + 4. */
ALWAYS_INLINE void product_rows(real *c, size_t ldc, const real *a, size_t a_row, size_t a_k, const real *b, size_t ldb,
                                size_t m, size_t n, size_t k, bool accumulate, const int vectors) {
    const size_t most = TILE_HEIGHT((size_t)vectors);
    size_t tiles = (m + most - 1) / most, height = m / tiles, higher = m % tiles;
    for (size_t t = 0; t < tiles; t++) {
        size_t rows = height + (t < higher);
        switch (rows) {
#define HEIGHT(r)                                                                      \
    case r:                                                                            \
        if (r <= TILE_HEIGHT(vectors)) {                                               \
            product_tile(c, ldc, a, a_row, a_k, b, ldb, n, k, accumulate, r, vectors); \
        }                                                                              \
        break;
            HEIGHT(1)
            HEIGHT(2)
            HEIGHT(3)
            HEIGHT(4)
            HEIGHT(5)
            HEIGHT(6)
            HEIGHT(7)
            HEIGHT(8)
            HEIGHT(9)
            HEIGHT(10)
            HEIGHT(11)
            HEIGHT(12)
#undef HEIGHT
        default: break;
        }
        c += rows * ldc;
        a += rows * a_row;
    }
}

static void product(void *c, size_t ldc, const void *a, size_t a_row, size_t a_k, const void *b, size_t ldb, size_t m,
                    size_t n, size_t k, bool accumulate) {
    switch ((n + LANES - 1) / LANES) {
#define WIDTH(v) \
    case v: product_rows(c, ldc, a, a_row, a_k, b, ldb, m, n, k, accumulate, v); break;
        WIDTH(1)
        WIDTH(2)
        WIDTH(3)
        WIDTH(4)
#undef WIDTH
    default: break;
    }
}

static void pack(void *to, const void *from, size_t ldb, size_t k, size_t n) {
    real *panel = to;
    const real *b = from;
    for (size_t p = 0; p < k; p++, panel += PANEL, b += ldb) {
        for (size_t j = 0; j < n; j += LANES) {
            v_store(panel + j, v_load_n(b + j, n - j));
        }
    }
}

/* out (columns, rows) = in (rows, columns) transposed, in square blocks of vectors. */
static void transpose(void *to, size_t ld_out, const void *from, size_t ld_in, size_t rows, size_t columns) {
    real *out = to;
    const real *in = from;
    size_t whole_rows = rows - rows % LANES, whole_columns = columns - columns % LANES;
    for (size_t i = 0; i < whole_rows; i += LANES) {
        for (size_t j = 0; j < whole_columns; j += LANES) {
            v_transpose(out + j * ld_out + i, ld_out, in + i * ld_in + j, ld_in);
        }
    }
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = i < whole_rows ? whole_columns : 0; j < columns; j++) {
            out[j * ld_out + i] = in[i * ld_in + j];
        }
    }
}

static void pack_transposed(void *to, const void *from, size_t ldb, size_t k, size_t n) {
    real *panel = to;
    transpose(panel, PANEL, from, ldb, n, k);
    for (size_t p = 0; p < k && n % LANES != 0; p++) {
        for (size_t j = n; j % LANES != 0; j++) {
            panel[p * PANEL + j] = 0;
        }
    }
}
