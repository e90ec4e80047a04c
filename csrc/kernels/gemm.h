/* gemm.h: the matrix kernel and the packing of its right operand. Loops over panels and layers are matmul.c's.
 *
 * A register tile of up to TILE_ROWS rows by TILE_VECTORS vectors of C stays in registers while k runs; each step loads
 * TILE_VECTORS vectors of B and broadcasts one element of A a row. Everything about a tile's shape is a constant where it
 * is used, so that the loops over it unroll and its accumulators are registers. */

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Hides from the compiler how a pointer moves through a loop. GCC else compiles a loop twice, for columns of A that are
 * contiguous and for others, and loads each element of the others once a vector: 8 % of a gradient's product. */
#define UNKNOWN_STRIDE(p) __asm__("" : "+r"(p))

/* The columns of a tile: whole vectors, and perhaps a half one at the edge, where such exist and are enough. */
#ifdef HALF_LANES
#define HAS_HALF 1
#else
#define HAS_HALF 0
#define HALF_LANES LANES
typedef vec half_vec;
#define h_zero v_zero
#define h_low(v) (v)
#define h_set1 v_set1
#define h_load v_load
#define h_load_n v_load_n
#define h_store_n v_store_n
#define h_fma v_fma
#endif

typedef struct {
    vec whole[12][TILE_VECTORS];
    half_vec half[12];
} tile_sums;

/* sum += one column of A times one row of B. */
ALWAYS_INLINE void multiply_step(tile_sums *sum, const real *a, size_t a_row, const real *b, const int rows,
                                 const int vectors, const int half) {
    vec left[12], right[TILE_VECTORS];
    half_vec edge = half ? h_load(b + vectors * LANES) : h_zero();
#pragma GCC unroll 16
    for (int i = 0; i < rows && rows <= vectors; i++) { /* the shorter side is held, the other comes one by one */
        left[i] = v_set1(a[(size_t)i * a_row]);
    }
#pragma GCC unroll 16
    for (int j = 0; j < vectors; j++) {
        right[j] = v_load(b + (size_t)j * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < rows && rows <= vectors; i++) {
            sum->whole[i][j] = v_fma(left[i], right[j], sum->whole[i][j]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        if (rows > vectors && vectors > 0) {
            left[i] = v_set1(a[(size_t)i * a_row]);
        }
#pragma GCC unroll 16
        for (int j = 0; j < vectors && rows > vectors; j++) {
            sum->whole[i][j] = v_fma(left[i], right[j], sum->whole[i][j]);
        }
        if (half) { /* by itself it takes half a load */
            sum->half[i] = h_fma(vectors > 0 ? h_low(left[i]) : h_set1(a[(size_t)i * a_row]), edge, sum->half[i]);
        }
    }
}

/* C's part of the tile, of which `last` columns are in the last vector. */
ALWAYS_INLINE void load_tile(tile_sums *sum, const real *c, size_t ldc, size_t last, bool accumulate, const int rows,
                             const int vectors, const int half) {
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++, c += ldc) {
#pragma GCC unroll 16
        for (int j = 0; j < vectors; j++) {
            bool whole = j + 1 < vectors + half;
            sum->whole[i][j] = !accumulate ? v_zero() : whole ? v_load(c + j * LANES) : v_load_n(c + j * LANES, last);
        }
        sum->half[i] = half && accumulate ? h_load_n(c + vectors * LANES, last) : h_zero();
    }
}

ALWAYS_INLINE void store_tile(const tile_sums *sum, real *c, size_t ldc, size_t last, const int rows, const int vectors,
                              const int half) {
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++, c += ldc) {
#pragma GCC unroll 16
        for (int j = 0; j < vectors; j++) {
            if (j + 1 < vectors + half) {
                v_store(c + j * LANES, sum->whole[i][j]);
            } else {
                v_store_n(c + j * LANES, sum->whole[i][j], last);
            }
        }
        if (half) {
            h_store_n(c + vectors * LANES, sum->half[i], last);
        }
    }
}

/* Beside each step 16 elements from `ahead` on are fetched into L2; where that is NULL, always the same ones of A. */
ALWAYS_INLINE void product_tile(real *c, size_t ldc, const real *a, size_t a_row, size_t a_k, const real *b, size_t ldb,
                                size_t last, size_t k, bool accumulate, const real *ahead, const int rows,
                                const int vectors, const int half) {
    tile_sums sum;
    load_tile(&sum, c, ldc, last, accumulate, rows, vectors, half);
    size_t stride = ahead == NULL ? 0 : 16;
    const real *fetched = ahead == NULL ? a : ahead;
    for (size_t p = 0; p < k; p++, a += a_k, b += ldb, fetched += stride) {
        multiply_step(&sum, a, a_row, b, rows, vectors, half);
        UNKNOWN_STRIDE(a);
        __builtin_prefetch(fetched, 0, 2);
        if (REAL_IS_DOUBLE) {
            __builtin_prefetch(fetched + 8, 0, 2);
        }
    }
    store_tile(&sum, c, ldc, last, rows, vectors, half);
}

/* Rows of a tile that is `vectors` wide: narrower ones are higher, so that as many chains are under way. */
#define TILE_HEIGHT(vectors) (TILE_ROWS * TILE_VECTORS / (vectors) < 12 ? TILE_ROWS * TILE_VECTORS / (vectors) : 12)

/* The rows of the next tile where `left` are: two tiles share the last rows evenly, 7, 9 and 11 are two tiles as well. */
static inline size_t tile_rows(size_t left, size_t most) {
    static const unsigned char heights[13] = {0, 1, 2, 3, 4, 5, 6, 4, 8, 5, 10, 6, 12};
    return left >= 2 * most ? most : heights[left > most ? (left + 1) / 2 : left];
}

/* The rows of one panel. */
ALWAYS_INLINE void product_rows(real *c, size_t ldc, const real *a, size_t a_row, size_t a_k, const real *b, size_t ldb,
                                size_t m, size_t n, size_t k, bool accumulate, const real *ahead, const int vectors,
                                const int half) {
    const size_t most = TILE_HEIGHT((size_t)(vectors + half)), last = n - (size_t)(vectors + half - 1) * LANES;
    for (size_t rows; m > 0; m -= rows) {
        rows = tile_rows(m, most);
        switch (rows) {
#define HEIGHT(r)                                                                                      \
    case r:                                                                                            \
        if (r <= TILE_HEIGHT(vectors + half)) {                                                        \
            product_tile(c, ldc, a, a_row, a_k, b, ldb, last, k, accumulate, ahead, r, vectors, half); \
        }                                                                                              \
        break;
            HEIGHT(1)
            HEIGHT(2)
            HEIGHT(3)
            HEIGHT(4)
            HEIGHT(5)
            HEIGHT(6)
            HEIGHT(8)
            HEIGHT(10)
            HEIGHT(12)
#undef HEIGHT
        default: break;
        }
        c += rows * ldc;
        a += rows * a_row;
        ahead = ahead == NULL ? NULL : ahead + rows * a_row;
    }
}

/* f(arguments, whole vectors, half vectors) for n columns. */
#define WHOLE_WIDTH(f, vectors, ...) \
    case 2 * (vectors): f(__VA_ARGS__, vectors, 0); break;
#if HAS_HALF
#define HALF_WIDTH(f, vectors, ...) \
    case 2 * (vectors) + 1: f(__VA_ARGS__, vectors, 1); break;
#else
#define HALF_WIDTH(f, vectors, ...)
#endif
#define FOR_WIDTH(n, f, ...)                                         \
    do {                                                             \
        size_t rest = (n) % LANES;                                   \
        bool half = HAS_HALF && rest > 0 && rest <= HALF_LANES;      \
        switch (2 * ((n) / LANES) + (half ? 1 : rest > 0 ? 2 : 0)) { \
            HALF_WIDTH(f, 0, __VA_ARGS__)                            \
            WHOLE_WIDTH(f, 1, __VA_ARGS__)                           \
            HALF_WIDTH(f, 1, __VA_ARGS__)                            \
            WHOLE_WIDTH(f, 2, __VA_ARGS__)                           \
            HALF_WIDTH(f, 2, __VA_ARGS__)                            \
            WHOLE_WIDTH(f, 3, __VA_ARGS__)                           \
            HALF_WIDTH(f, 3, __VA_ARGS__)                            \
            WHOLE_WIDTH(f, 4, __VA_ARGS__)                           \
        default: break;                                              \
        }                                                            \
    } while (0)

static void product(void *c, size_t ldc, const void *a, size_t a_row, size_t a_k, const void *b, size_t ldb, size_t m,
                    size_t n, size_t k, bool accumulate, const void *ahead) {
    FOR_WIDTH(n, product_rows, c, ldc, a, a_row, a_k, b, ldb, m, n, k, accumulate, ahead);
}

static void pack(void *to, const void *from, size_t ldb, size_t k, size_t n) {
    real *panel = to;
    const real *b = from;
    enum { AHEAD = 16 }; /* rows far apart are strangers to the processor's own prefetching */
    for (size_t p = 0; p < k; p++, panel += PANEL, b += ldb) {
        for (size_t j = 0; j < n; j += LANES) {
            __builtin_prefetch(b + AHEAD * ldb + j);
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
