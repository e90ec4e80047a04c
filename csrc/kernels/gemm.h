/* gemm.h: the matrix kernel and the packing of its right operand. Loops over panels and layers are matmul.c's.
 *
 * A register tile of up to TILE_ROWS rows by TILE_VECTORS vectors of C stays in registers while k runs; each step loads
 * TILE_VECTORS vectors of B and broadcasts one element of A a row. Everything about a tile's shape is a constant where
 * it is used, so that the loops over it unroll and its accumulators are registers. */

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define SELDOM __attribute__((cold)) /* small rather than fast */
#ifdef __clang__
#define NOT_INLINE __attribute__((noinline))
#else
#define NOT_INLINE __attribute__((noinline, noclone)) /* nor copied for each way in which it is called */
#endif

#define EACH_VECTOR(i, n) (size_t i = 0; i < (n); i += LANES)

/* Before a loop over a tile: its rounds, n at most, one after the other; else its accumulators are no registers. */
#ifdef __clang__
#define UNROLL(n) _Pragma("clang loop unroll(full)")
#else
#define UNROLL(n) AS_PRAGMA(GCC unroll n)
#define AS_PRAGMA(words) _Pragma(#words)
#endif

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
#define h_wide(v) (v)
#define h_set1 v_set1
#define h_load v_load
#define h_load_n v_load_n
#define h_store_n v_store_n
#define h_fma v_fma
#endif

#ifndef MASKED_AT_ONCE /* a part of a vector is stored as fast as all of it */
#define MASKED_AT_ONCE 0
#endif

typedef struct {
    vec whole[12][TILE_VECTORS];
    half_vec half[12];
} tile_sums;

/* sum += one column of A times one row of B, whose whole vectors are copied unless `copy` is NULL. */
ALWAYS_INLINE void multiply_step(tile_sums *sum, const real *a, size_t a_row, const real *b, real *copy, const int rows,
                                 const int vectors, const int half) {
    vec left[12], right[TILE_VECTORS];
    half_vec edge = half ? h_load(b + vectors * LANES) : h_zero();
    UNROLL(16)
    for (int i = 0; i < rows && rows <= vectors; i++) { /* the shorter side is held, the other comes one by one */
        left[i] = v_set1(a[(size_t)i * a_row]);
    }
    UNROLL(16)
    for (int j = 0; j < vectors; j++) {
        right[j] = v_load(b + (size_t)j * LANES);
        if (copy != NULL) {
            v_store(copy + (size_t)j * LANES, right[j]);
        }
        UNROLL(16)
        for (int i = 0; i < rows && rows <= vectors; i++) {
            sum->whole[i][j] = rows == 1 ? v_fma(left[i], right[j], sum->whole[i][j]) /* right[j] need not be loaded */
                                         : v_accumulate(sum->whole[i][j], left[i], right[j]);
        }
    }
    UNROLL(16)
    for (int i = 0; i < rows; i++) {
        if (rows > vectors && vectors > 0) {
            left[i] = v_set1(a[(size_t)i * a_row]);
        }
        UNROLL(16)
        for (int j = 0; j < vectors && rows > vectors; j++) {
            sum->whole[i][j] = v_accumulate(sum->whole[i][j], left[i], right[j]);
        }
        if (half) { /* by itself it takes half a load */
            sum->half[i] = h_fma(vectors > 0 ? h_low(left[i]) : h_set1(a[(size_t)i * a_row]), edge, sum->half[i]);
        }
    }
}

/* C's part of the tile, of which `last` columns are in the last vector. */
ALWAYS_INLINE void load_tile(tile_sums *sum, const real *c, size_t ldc, size_t last, bool accumulate, const int rows,
                             const int vectors, const int half) {
    UNROLL(16)
    for (int i = 0; i < rows; i++, c += ldc) {
        UNROLL(16)
        for (int j = 0; j < vectors; j++) {
            bool whole = j + 1 < vectors + half;
            sum->whole[i][j] = !accumulate ? v_zero() : whole ? v_load(c + j * LANES) : v_load_n(c + j * LANES, last);
        }
        sum->half[i] = half && accumulate ? h_load_n(c + vectors * LANES, last) : h_zero();
    }
}

ALWAYS_INLINE void store_tile(const tile_sums *sum, real *c, size_t ldc, size_t last, const int rows, const int vectors,
                              const int half) {
    UNROLL(16)
    for (int i = 0; i < rows; i++, c += ldc) {
        UNROLL(16)
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

/* What becomes of one vector of a tile: its sum plus a bias where that is more than `least`, as relu has it. */
ALWAYS_INLINE vec biased(vec sum, vec bias, vec least) { return v_max(least, v_add(sum, bias)); }

ALWAYS_INLINE void add_biases(tile_sums *sum, const real *biases, bool relu, const int rows, const int vectors,
                              const int half) {
    vec least = v_set1(relu ? 0 : (real)-INFINITY);
    UNROLL(16)
    for (int j = 0; j < vectors + half; j++) {
        vec bias = v_load(biases + j * LANES);
        UNROLL(16)
        for (int i = 0; i < rows; i++) {
            if (j < vectors) {
                sum->whole[i][j] = biased(sum->whole[i][j], bias, least);
            } else {
                sum->half[i] = h_low(biased(h_wide(sum->half[i]), bias, least));
            }
        }
    }
}

/* Times the slope of relu where its output is a (rows, ld). */
ALWAYS_INLINE void multiply_slopes(tile_sums *sum, const real *a, size_t ld, const int rows, const int vectors,
                                   const int half) {
    UNROLL(16)
    for (int i = 0; i < rows; i++, a += ld) {
        UNROLL(16)
        for (int j = 0; j < vectors; j++) {
            sum->whole[i][j] = v_mul(sum->whole[i][j], d_relu(v_load(a + j * LANES)));
        }
        if (half) {
            sum->half[i] = h_low(v_mul(h_wide(sum->half[i]), d_relu(v_load(a + vectors * LANES))));
        }
    }
}

/* Rows of a tile that is `vectors` wide: narrower ones are higher, so that as many chains are under way. */
#define TILE_HEIGHT(vectors) (TILE_ROWS * TILE_VECTORS / (vectors) < 12 ? TILE_ROWS * TILE_VECTORS / (vectors) : 12)

#define LINE (MLP_VECTOR_BYTES / sizeof(real))

/* So many rows of B are fetched ahead where it is copied: rows far apart are strangers to the processor's own
 * prefetching. */
enum { ROWS_AHEAD = 16 };

/* Lines of the cache that are fetched beside a tile, none where there are 0; and how a region's others follow. */
typedef struct {
    const real *at;
    size_t ld, lines;
    const real *column;            /* of lines */
    size_t rows, row, left, share; /* lines of a column, before `at` in it, left in all, of a tile */
} fetcher;

/* From a tile to the next. */
static NOT_INLINE void fetch_on(fetcher *f) {
    f->row += f->lines;
    f->left -= f->lines;
    if (f->row == f->rows) {
        f->row = 0;
        f->column += LINE;
    }
    size_t lines = f->share < f->rows - f->row ? f->share : f->rows - f->row;
    f->lines = lines < f->left ? lines : f->left;
    f->at = f->column + f->row * f->ld;
}

/* A region in even shares, beside m rows in tiles of `most`. */
static NOT_INLINE void begin_fetching(fetcher *f, const mlp_region *r, size_t m, size_t most) {
    size_t share = r->lines * most / m + 1, shares = share < r->rows ? r->rows / share : 1;
    f->lines = 0;
    f->ld = r->ld;
    f->column = (const real *)r->at + r->first / r->rows * LINE;
    f->rows = r->rows;
    f->row = r->first % r->rows;
    f->left = r->lines;
    f->share = (r->rows + shares - 1) / shares;
    fetch_on(f);
}

/* What becomes of C's tile, from row i on. */
ALWAYS_INLINE void end_tile(tile_sums *sum, const mlp_panel_product *p, size_t i, size_t last, const int rows,
                            const int vectors, const int half) {
    if (p->ending == MLP_RELU_SLOPE) {
        multiply_slopes(sum, (const real *)p->operand + i * p->ldc, p->ldc, rows, vectors, half);
    } else if (p->ending != MLP_AS_IT_IS) {
        add_biases(sum, p->operand, p->ending == MLP_BIAS_RELU, rows, vectors, half);
    }
    store_tile(sum, (real *)p->c + i * p->ldc, p->ldc, last, rows, vectors, half);
}

/* C's rows from row i on. */
ALWAYS_INLINE void product_tile(const mlp_panel_product *p, size_t i, size_t last, const fetcher *f, const int rows,
                                const int vectors, const int half) {
    const size_t a_row = p->a_row, a_k = p->a_k, ldb = p->ldb;
    const real *a = (const real *)p->a + i * a_row, *b = p->b;
    const real *ahead = f->at;
    size_t lines = rows < TILE_HEIGHT(vectors + half) ? 0 : f->lines; /* the last tiles are lower, and fetch nothing */
    tile_sums sum;
    load_tile(&sum, (real *)p->c + i * p->ldc, p->ldc, last, p->accumulate, rows, vectors, half);
    const size_t steps = vectors > 2 ? TILE_STEPS : 1; /* narrow tiles are for edges, and need not take as much code */
    size_t k = p->k;
    for (; k >= steps; k -= steps) {
        UNROLL(8)
        for (size_t s = 0; s < steps; s++, a += a_k, b += ldb) {
            multiply_step(&sum, a, a_row, b, NULL, rows, vectors, half);
            UNKNOWN_STRIDE(a);
        }
        if (lines > 0) {
            __builtin_prefetch(ahead, 0, 2);
            ahead += f->ld;
            lines--;
        }
    }
    for (; steps > 1 && k > 0; k--, a += a_k, b += ldb) {
        multiply_step(&sum, a, a_row, b, NULL, rows, vectors, half);
        UNKNOWN_STRIDE(a);
    }
    for (; lines > 0; lines--, ahead += f->ld) { /* more than k has turns */
        __builtin_prefetch(ahead, 0, 2);
    }
    end_tile(&sum, p, i, last, rows, vectors, half);
}

/* The same of the first rows, by a whole panel that is copied meanwhile. */
_Static_assert(TILE_ROWS < 12, "groups of 12 rows go on after a tile");
static NOT_INLINE void product_copying(const mlp_panel_product *p) {
    const size_t a_row = p->a_row, a_k = p->a_k, ldb = p->ldb;
    const real *a = p->a, *b = p->b;
    real *copy = p->copy;
    tile_sums sum;
    load_tile(&sum, p->c, p->ldc, LANES, p->accumulate, TILE_ROWS, TILE_VECTORS, 0);
    for (size_t k = p->k; k > 0; k--, a += a_k, b += ldb, copy += PANEL) {
        UNROLL(4)
        for (size_t j = 0; j < PANEL; j += LINE) {
            __builtin_prefetch(b + ROWS_AHEAD * ldb + j);
        }
        multiply_step(&sum, a, a_row, b, copy, TILE_ROWS, TILE_VECTORS, 0);
        UNKNOWN_STRIDE(a);
    }
    end_tile(&sum, p, 0, LANES, TILE_ROWS, TILE_VECTORS, 0);
}

/* The rows of the next tile where `left` are: the last ones go in few tiles, about as high. */
static inline size_t tile_rows(size_t left, size_t most) {
    static const unsigned char heights[24] = {0,  1, 2, 3,  4, 5,  6,  4, 8,  5, 5, 6,
                                              12, 8, 8, 12, 8, 12, 12, 8, 12, 8, 8, 12};
    if (left >= 2 * most) {
        return most;
    }
    size_t rows = heights[left];
    return rows <= most ? rows : rows / 2;
}

/* The lines of the cache that rows of C lie in, before they are written there. GCC holds a call that only fetches for
 * one without effect, and leaves it out. */
static NOT_INLINE void fetch_rows(const real *c, size_t ldc, size_t rows, size_t n) {
    __asm__ volatile("");
    for (; rows > 0; rows--, c += ldc) {
        for (size_t j = 0; j < n; j += LINE) {
            __builtin_prefetch(c + j, 1);
        }
    }
}

/* All rows, in columns of so many vectors. */
ALWAYS_INLINE void product_rows(const mlp_panel_product *p, const int vectors, const int half) {
    const size_t most = TILE_HEIGHT((size_t)(vectors + half)), last = p->n - (size_t)(vectors + half - 1) * LANES;
    fetcher f = {.lines = 0};
    if (p->ahead.lines > 0) {
        begin_fetching(&f, &p->ahead, p->m, most);
    }
    for (size_t i = 0, rows; i < p->m; i += rows) {
        rows = tile_rows(p->m - i, most);
        if (p->far) {
            fetch_rows((const real *)p->c + (i + rows) * p->ldc, p->ldc, rows, p->n);
        }
        if (rows == most) {
            product_tile(p, i, last, &f, TILE_HEIGHT(vectors + half), vectors, half);
            if (f.lines > 0) {
                fetch_on(&f);
            }
            continue;
        }
        switch (rows) {
#define HEIGHT(r)                                           \
    case r:                                                 \
        if (r < TILE_HEIGHT(vectors + half)) {              \
            product_tile(p, i, last, &f, r, vectors, half); \
        }                                                   \
        break;
            HEIGHT(1)
            HEIGHT(2)
            HEIGHT(3)
            HEIGHT(4)
            HEIGHT(5)
            HEIGHT(6)
            HEIGHT(8)
#undef HEIGHT
        default: break;
        }
    }
}

/* product_VECTORS_HALF: a function for each width, so that a compiler looks at one at a time. */
#if HAS_HALF
#define WIDTHS(X) X(0, 1) X(1, 0) X(1, 1) X(2, 0) X(2, 1) X(3, 0) X(3, 1) X(4, 0)
#else
#define WIDTHS(X) X(1, 0) X(2, 0) X(3, 0) X(4, 0)
#endif
static inline size_t width_of(size_t n) { /* twice its vectors, a half one counted once */
    size_t rest = n % LANES;
    bool half = HAS_HALF && rest > 0 && rest <= HALF_LANES;
    return 2 * (n / LANES) + (half ? 1 : rest > 0 ? 2 : 0);
}

#define WIDTH(vectors, half) \
    static NOT_INLINE void product_##vectors##_##half(const mlp_panel_product *p) { product_rows(p, vectors, half); }
WIDTHS(WIDTH)
#undef WIDTH

static inline void product_of_width(const mlp_panel_product *p) {
    switch (width_of(p->n)) {
#define WIDTH(vectors, half) \
    case 2 * vectors + half: product_##vectors##_##half(p); break;
        WIDTHS(WIDTH)
#undef WIDTH
    default: break;
    }
}

/* The first tile copies B, the rows after it read the copy. */
static NOT_INLINE void product_by_copy(const mlp_panel_product *p) {
    mlp_panel_product rest = *p;
    product_copying(p);
    rest.m = p->m - TILE_ROWS;
    rest.a = (const real *)p->a + TILE_ROWS * p->a_row;
    rest.c = (real *)p->c + TILE_ROWS * p->ldc;
    rest.b = p->copy;
    rest.ldb = PANEL;
    rest.operand = p->ending == MLP_RELU_SLOPE ? (const real *)p->operand + TILE_ROWS * p->ldc : p->operand;
    product_of_width(&rest);
}

static void product(const mlp_panel_product *p) {
    if (p->copy != NULL) {
        product_by_copy(p);
    } else {
        product_of_width(p);
    }
}

static void pack(void *to, const void *from, size_t ldb, size_t k, size_t n) {
    real *panel = to;
    const real *b = from;
    for (size_t p = 0; p < k; p++, panel += PANEL, b += ldb) {
        for (size_t j = 0; j < n; j += LANES) {
            __builtin_prefetch(b + ROWS_AHEAD * ldb + j);
            v_store(panel + j, v_load_n(b + j, n - j));
        }
    }
}

/* out (columns, 2) = in (2, columns) transposed: by shuffles, as the compiler sees where that goes. */
static NOT_INLINE void interleave(real *out, const real *a, const real *b, size_t columns) {
    for (size_t j = 0; j < columns; j++) {
        out[2 * j] = a[j];
        out[2 * j + 1] = b[j];
    }
}

/* And back, of so many columns. */
#define SEPARATE(columns)                                                                                            \
    static NOT_INLINE void separate_##columns(real *restrict out, size_t ld, const real *restrict in, size_t rows) { \
        for (size_t i = 0; i < rows; i++) {                                                                          \
            UNROLL(4)                                                                                                \
            for (size_t j = 0; j < columns; j++) {                                                                   \
                out[j * ld + i] = in[columns * i + j];                                                               \
            }                                                                                                        \
        }                                                                                                            \
    }
SEPARATE(2)
SEPARATE(3)
SEPARATE(4)
#undef SEPARATE

static NOT_INLINE void transpose_thin(real *out, size_t ld_out, const real *in, size_t ld_in, size_t rows,
                                      size_t columns) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) {
            out[j * ld_out + i] = in[i * ld_in + j];
        }
    }
}

/* A block at the edge goes by vectors where it has more rows and columns than these; where a vector is not stored in
 * part as fast as whole, only one that has all rows. */
enum { THIN = LANES / 4, THIN_ROWS = MASKED_AT_ONCE ? THIN : LANES - 1 };

static NOT_INLINE void transpose_edge(real *out, size_t ld_out, const real *in, size_t ld_in, size_t rows,
                                      size_t columns) {
    if (rows <= THIN_ROWS || columns <= THIN) {
        transpose_thin(out, ld_out, in, ld_in, rows, columns);
        return;
    }
    real block[LANES * LANES], turned[LANES * LANES];
    for (size_t i = 0; i < LANES; i++) { /* the last row again for those that are not there */
        v_store(block + i * LANES, v_load_n(in + (i < rows ? i : rows - 1) * ld_in, columns));
    }
    v_transpose(turned, LANES, block, LANES);
    for (size_t j = 0; j < columns; j++) {
        v_store_n(out + j * ld_out, v_load(turned + j * LANES), rows);
    }
}

/* out (columns, rows) = in (rows, columns) transposed, in square blocks of vectors. */
static void transpose(void *to, size_t ld_out, const void *from, size_t ld_in, size_t rows, size_t columns) {
    real *out = to;
    const real *in = from;
    if (rows == 2 && ld_out == 2) {
        interleave(out, in, in + ld_in, columns);
        return;
    }
    if (columns == ld_in && columns >= 2 && columns <= 4) {
        (columns == 2 ? separate_2 : columns == 3 ? separate_3 : separate_4)(out, ld_out, in, rows);
        return;
    }
    if (rows <= THIN_ROWS || columns <= THIN) {
        transpose_thin(out, ld_out, in, ld_in, rows, columns);
        return;
    }
    for (size_t i = 0, m; i < rows; i += m) {
        m = rows - i < LANES ? rows - i : LANES;
        for (size_t j = 0, n; j < columns; j += n) {
            n = columns - j < LANES ? columns - j : LANES;
            if (m == LANES && n == LANES) {
                v_transpose(out + j * ld_out + i, ld_out, in + i * ld_in + j, ld_in);
            } else {
                transpose_edge(out + j * ld_out + i, ld_out, in + i * ld_in + j, ld_in, m, n);
            }
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
