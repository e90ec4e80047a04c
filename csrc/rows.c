/* rows.c: the caller's data as rows. The only place that reads dtypes, strides, byte order, CSR and orders of visit.
 * Conversion goes through double. */
#include "core.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const size_t type_size[] = {[MLP_BOOL] = 1,   [MLP_INT8] = 1,    [MLP_UINT8] = 1,   [MLP_INT16] = 2,
                                   [MLP_UINT16] = 2, [MLP_INT32] = 4,   [MLP_UINT32] = 4,  [MLP_INT64] = 8,
                                   [MLP_UINT64] = 8, [MLP_FLOAT16] = 2, [MLP_FLOAT32] = 4, [MLP_FLOAT64] = 8,
                                   [MLP_CSR] = 0};

static mlp_type type_of(mlp_dtype dtype) { return dtype == MLP_F32 ? MLP_FLOAT32 : MLP_FLOAT64; }

static size_t item_of(mlp_dtype dtype) { return type_size[type_of(dtype)]; }

/* ---- One element, in this machine's byte order, as double. */
static inline double read_MLP_BOOL(const unsigned char *p) { return *p != 0; } /* a view of other bytes holds any */

#define READER(type, c_type)                                   \
    static inline double read_##type(const unsigned char *p) { \
        c_type value;                                          \
        memcpy(&value, p, sizeof value);                       \
        return (double)value;                                  \
    }
READER(MLP_INT8, int8_t)
READER(MLP_UINT8, uint8_t)
READER(MLP_INT16, int16_t)
READER(MLP_UINT16, uint16_t)
READER(MLP_INT32, int32_t)
READER(MLP_UINT32, uint32_t)
READER(MLP_INT64, int64_t)
READER(MLP_UINT64, uint64_t)
READER(MLP_FLOAT32, float)
READER(MLP_FLOAT64, double)
#undef READER

static inline void reverse_bytes(unsigned char *to, const unsigned char *from, size_t size) {
    for (size_t i = 0; i < size; i++) {
        to[i] = from[size - 1 - i];
    }
}

/* ---- Runs of elements: n of them `stride` bytes apart, to out[i * step]. One loop per type and dtype;
 * float16, which C does not have, becomes float first. Each once in the code, for the table and for float16. */
#define RUN(type, size, real, suffix)                                                                        \
    static __attribute__((noinline)) void run_##type##suffix(real *out, size_t step, const unsigned char *p, \
                                                             ptrdiff_t stride, size_t n) {                   \
        if (stride == (size) && step == 1) {                                                                 \
            for (size_t i = 0; i < n; i++) {                                                                 \
                out[i] = (real)read_##type(p + i * (size));                                                  \
            }                                                                                                \
        } else {                                                                                             \
            for (size_t i = 0; i < n; i++, p += stride) {                                                    \
                out[i * step] = (real)read_##type(p);                                                        \
            }                                                                                                \
        }                                                                                                    \
    }
#define RUNS(type, size)         \
    RUN(type, size, float, _f32) \
    RUN(type, size, double, _f64)
#define EACH_TYPE(X)  \
    X(MLP_BOOL, 1)    \
    X(MLP_INT8, 1)    \
    X(MLP_UINT8, 1)   \
    X(MLP_INT16, 2)   \
    X(MLP_UINT16, 2)  \
    X(MLP_INT32, 4)   \
    X(MLP_UINT32, 4)  \
    X(MLP_INT64, 8)   \
    X(MLP_UINT64, 8)  \
    X(MLP_FLOAT32, 4) \
    X(MLP_FLOAT64, 8)
EACH_TYPE(RUNS)

enum { SOME_ELEMENTS = 64, LARGEST_ELEMENT = 8 }; /* at a time, where they need something done first */

/* No branch, so that loops over it become vectors: a subnormal, or zero, gets an exponent and loses what it adds. */
static inline float half_to_float(uint16_t half) {
    const uint32_t exponents = UINT32_C(0x7c00) << 13;
    uint32_t bits = (uint32_t)(half & 0x7fff) << 13, exponent = bits & exponents;
    uint32_t subnormal = exponent == 0 ? UINT32_MAX : 0, infinite = exponent == exponents ? UINT32_MAX : 0; /* or NaN */
    uint32_t added = subnormal & UINT32_C(113) << 23, sign = (uint32_t)(half & 0x8000) << 16;
    float value, too_much;
    bits += (UINT32_C(112) << 23) + (subnormal & UINT32_C(1) << 23) + (infinite & UINT32_C(112) << 23);
    memcpy(&value, &bits, sizeof value);
    memcpy(&too_much, &added, sizeof too_much);
    value -= too_much;
    memcpy(&bits, &value, sizeof bits);
    bits |= sign;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* At most SOME_ELEMENTS. */
static void halves_to_floats(float *floats, const unsigned char *p, ptrdiff_t stride, size_t n) {
    uint16_t halves[SOME_ELEMENTS];
    if (stride == sizeof *halves) {
        memcpy(halves, p, n * sizeof *halves);
    } else {
        for (size_t i = 0; i < n; i++) {
            memcpy(&halves[i], p + (ptrdiff_t)i * stride, sizeof *halves);
        }
    }
    for (size_t i = 0; i < n; i++) {
        floats[i] = half_to_float(halves[i]);
    }
}

#define RUN_OF_HALVES(real, suffix)                                                                                   \
    static void run_MLP_FLOAT16##suffix(real *out, size_t step, const unsigned char *p, ptrdiff_t stride, size_t n) { \
        float floats[SOME_ELEMENTS];                                                                                  \
        for (size_t i = 0, some; i < n; i += some, p += (ptrdiff_t)some * stride) {                                   \
            some = mlp_min(n - i, SOME_ELEMENTS);                                                                     \
            halves_to_floats(floats, p, stride, some);                                                                \
            run_MLP_FLOAT32##suffix(out + i * step, step, (const unsigned char *)floats, sizeof *floats, some);       \
        }                                                                                                             \
    }
RUN_OF_HALVES(float, _f32)
RUN_OF_HALVES(double, _f64)

typedef void (*run_f32)(float *, size_t, const unsigned char *, ptrdiff_t, size_t);
typedef void (*run_f64)(double *, size_t, const unsigned char *, ptrdiff_t, size_t);
static const run_f32 runs_f32[] = {
#define ENTRY(type, size) [type] = run_##type##_f32,
    EACH_TYPE(ENTRY) ENTRY(MLP_FLOAT16, 2)
#undef ENTRY
};
static const run_f64 runs_f64[] = {
#define ENTRY(type, size) [type] = run_##type##_f64,
    EACH_TYPE(ENTRY) ENTRY(MLP_FLOAT16, 2)
#undef ENTRY
};

static void read_native(mlp_type type, mlp_dtype dtype, void *out, size_t at, size_t step, const unsigned char *p,
                        ptrdiff_t stride, size_t n) {
    if (dtype == MLP_F32) {
        runs_f32[type]((float *)out + at, step, p, stride, n);
    } else {
        runs_f64[type]((double *)out + at, step, p, stride, n);
    }
}

/* Elements that are turned round before they are read. */
static void read_run(const mlp_rows *rows, mlp_dtype dtype, void *out, size_t at, size_t step, const unsigned char *p,
                     ptrdiff_t stride, size_t n) {
    size_t size = type_size[rows->type];
    if (!rows->swapped || size == 1) {
        read_native(rows->type, dtype, out, at, step, p, stride, n);
        return;
    }
    unsigned char native[SOME_ELEMENTS * LARGEST_ELEMENT];
    for (size_t i = 0, some; i < n; i += some) {
        some = mlp_min(n - i, SOME_ELEMENTS);
        for (size_t k = 0; k < some; k++, p += stride) {
            switch (size) { /* a constant is one instruction */
            case 2: reverse_bytes(native + k * size, p, 2); break;
            case 4: reverse_bytes(native + k * size, p, 4); break;
            default: reverse_bytes(native + k * size, p, 8); break;
            }
        }
        read_native(rows->type, dtype, out, at + i * step, step, native, (ptrdiff_t)size, some);
    }
}

static const unsigned char *row_at(const mlp_rows *rows, size_t i) {
    return (const unsigned char *)rows->data + (ptrdiff_t)i * rows->row_stride;
}

/* ---- Sparse rows. Each is laid out in cells of the source's own type, where duplicates add up as they do in the array
 * that scipy.sparse makes of it (float16, which it does not have: in cells of float); then it is read like any
 * other. */

/* Read once, whatever a compiler would like: another thread may write it between its check and its use. */
static inline int64_t read_index(const mlp_rows *from, size_t i) {
    const void *at = row_at(from, i);
    return from->type == MLP_INT32 ? *(const volatile int32_t *)at : *(const volatile int64_t *)at;
}

/* Values first..last into cells; false: *index is no column. One loop per type. */
#define AS_IT_IS(value) (value)
#define ANY(cell, a, b) (cell)((a) != 0 || (b) != 0)
#define SUM_OF_WHOLE(cell, a, b) (cell)((uint64_t)(a) + (uint64_t)(b))
#define SUM(cell, a, b) ((a) + (cell)(b))
#define SCATTER(type, raw, cell, value_of, add)                                                              \
    static bool scatter_##type(void *cells, const mlp_csr *csr, size_t first, size_t last, size_t n_columns, \
                               int64_t *index) {                                                             \
        cell *row = cells;                                                                                   \
        for (size_t k = first; k < last; k++) {                                                              \
            int64_t j = read_index(&csr->indices, k);                                                        \
            const unsigned char *p = row_at(&csr->values, k);                                                \
            unsigned char native[sizeof(raw)];                                                               \
            raw value;                                                                                       \
            if (j < 0 || (uint64_t)j >= n_columns) {                                                         \
                *index = j;                                                                                  \
                return false;                                                                                \
            }                                                                                                \
            if (csr->values.swapped) {                                                                       \
                reverse_bytes(native, p, sizeof native);                                                     \
                p = native;                                                                                  \
            }                                                                                                \
            memcpy(&value, p, sizeof value);                                                                 \
            row[j] = add(cell, row[j], value_of(value));                                                     \
        }                                                                                                    \
        return true;                                                                                         \
    }
#define EACH_CELL(X)                                          \
    X(MLP_BOOL, uint8_t, uint8_t, AS_IT_IS, ANY)              \
    X(MLP_INT8, int8_t, int8_t, AS_IT_IS, SUM_OF_WHOLE)       \
    X(MLP_UINT8, uint8_t, uint8_t, AS_IT_IS, SUM_OF_WHOLE)    \
    X(MLP_INT16, int16_t, int16_t, AS_IT_IS, SUM_OF_WHOLE)    \
    X(MLP_UINT16, uint16_t, uint16_t, AS_IT_IS, SUM_OF_WHOLE) \
    X(MLP_INT32, int32_t, int32_t, AS_IT_IS, SUM_OF_WHOLE)    \
    X(MLP_UINT32, uint32_t, uint32_t, AS_IT_IS, SUM_OF_WHOLE) \
    X(MLP_INT64, int64_t, int64_t, AS_IT_IS, SUM_OF_WHOLE)    \
    X(MLP_UINT64, uint64_t, uint64_t, AS_IT_IS, SUM_OF_WHOLE) \
    X(MLP_FLOAT16, uint16_t, float, half_to_float, SUM)       \
    X(MLP_FLOAT32, float, float, AS_IT_IS, SUM)               \
    X(MLP_FLOAT64, double, double, AS_IT_IS, SUM)
EACH_CELL(SCATTER)

typedef bool (*scatter)(void *, const mlp_csr *, size_t, size_t, size_t, int64_t *);
static const scatter scatters[] = {
#define ENTRY(type, raw, cell, value_of, add) [type] = scatter_##type,
    EACH_CELL(ENTRY)
#undef ENTRY
};

/* Row i of a sparse source in source->cells; false: it is none, and the call says why. */
static bool lay_out(const mlp_source *source, size_t i) {
    const mlp_csr *csr = source->rows->data;
    mlp_call *call = source->call;
    size_t columns = source->rows->n_columns, n = csr->values.n_rows;
    int64_t first = read_index(&csr->pointers, i), last = read_index(&csr->pointers, i + 1), index = 0;
    bool within = first >= 0 && last >= first && (uint64_t)last <= n;
    memset(source->cells, 0, columns * sizeof(double));
    if (within && scatters[csr->values.type](source->cells, csr, (size_t)first, (size_t)last, columns, &index)) {
        return true;
    }
    call->row = i;
    call->column = SIZE_MAX;
    if (within) {
        snprintf(call->reason, sizeof call->reason, "in columns 0 to %zu, not %lld as indices say", columns - 1,
                 (long long)index);
    } else {
        snprintf(call->reason, sizeof call->reason, "some of %zu stored values, not %lld to %lld as indptr says", n,
                 (long long)first, (long long)last);
    }
    return false;
}

size_t mlp_count_values(const mlp_source *source, size_t i) {
    const mlp_csr *csr = source->rows->data;
    int64_t first = read_index(&csr->pointers, i), last = read_index(&csr->pointers, i + 1);
    return first < 0 || last < first ? SIZE_MAX : (size_t)(last - first);
}

size_t mlp_compress_row(const mlp_source *source, size_t i, size_t most, uint32_t *columns, void *values) {
    const mlp_csr *csr = source->rows->data;
    int64_t first = read_index(&csr->pointers, i), last = read_index(&csr->pointers, i + 1), before = -1;
    if (first < 0 || last < first || (uint64_t)last > csr->values.n_rows || (uint64_t)(last - first) > most) {
        return SIZE_MAX;
    }
    size_t n = (size_t)(last - first);
    for (size_t k = 0; k < n; k++) {
        int64_t j = read_index(&csr->indices, (size_t)first + k);
        if (j <= before || (uint64_t)j >= source->rows->n_columns || j > UINT32_MAX) {
            return SIZE_MAX;
        }
        columns[k] = (uint32_t)j;
        before = j;
    }
    if (n > 0) {
        read_run(&csr->values, source->dtype, values, 0, 1, row_at(&csr->values, (size_t)first), csr->values.row_stride,
                 n);
    }
    return n;
}

/* Row i of a sparse source to out[at + j * step]. */
static bool read_sparse(const mlp_source *source, size_t i, void *out, size_t at, size_t step) {
    const mlp_csr *csr = source->rows->data;
    mlp_type type = csr->values.type == MLP_FLOAT16 ? MLP_FLOAT32 : csr->values.type;
    if (!lay_out(source, i)) {
        return false;
    }
    read_run(&(mlp_rows){.type = type}, source->dtype, out, at, step, source->cells, (ptrdiff_t)type_size[type],
             source->rows->n_columns);
    return true;
}

static double first_of(const mlp_rows *rows, const unsigned char *p) {
    double value;
    read_run(rows, MLP_F64, &value, 0, 1, p, 0, 1);
    return value;
}

double mlp_element(const mlp_rows *rows, size_t row, size_t column) {
    if (rows->type != MLP_CSR) {
        return first_of(rows, row_at(rows, row) + (ptrdiff_t)column * rows->column_stride);
    }
    const mlp_csr *csr = rows->data;
    int64_t first = read_index(&csr->pointers, row), last = read_index(&csr->pointers, row + 1);
    if (first < 0 || last < first || (uint64_t)last > csr->values.n_rows) {
        return (double)NAN;
    }
    double sum = 0;
    for (size_t k = (size_t)first; k < (size_t)last; k++) {
        if (read_index(&csr->indices, k) == (int64_t)column) {
            sum += first_of(&csr->values, row_at(&csr->values, k));
        }
    }
    return sum;
}

/* ---- Tiles. */

/* Whether its elements are those that are wanted. */
static bool is_of_type(const mlp_rows *rows, mlp_dtype dtype) { return rows->type == type_of(dtype) && !rows->swapped; }

static bool is_native(const mlp_rows *rows, mlp_dtype dtype) {
    return is_of_type(rows, dtype) && (rows->n_columns == 1 || rows->column_stride == (ptrdiff_t)type_size[rows->type]);
}

/* Rows of the right elements, forwards, on their boundaries; and not a multiple of 2 KiB apart, where whole columns
 * would fall into two sets of the L1 cache. */
static bool is_in_place(const mlp_rows *rows, mlp_dtype dtype, size_t n_together) {
    if (!is_native(rows, dtype)) {
        return false;
    }
    size_t size = type_size[rows->type], stride = (size_t)rows->row_stride;
    return rows->row_stride > 0 && stride % size == 0 && (uintptr_t)rows->data % size == 0 &&
           (stride % 2048 != 0 || n_together < 8);
}

const void *mlp_row_in_place(const mlp_rows *rows, mlp_dtype dtype, size_t row) {
    return is_in_place(rows, dtype, 1) ? row_at(rows, row) : NULL;
}

/* Rows in an order of their own are fetched ahead, as the machine cannot guess where the next one begins: while one is
 * read, the one that comes so many bytes later, also where that is another step's. (A burst of such requests would be
 * dropped for the most part.) Data that the L2 cache holds need not be. */
enum { AHEAD_BYTES = 4096, LEAST_AHEAD = 8, MOST_AHEAD = 48, MOST_FETCHED = 1024 };

static void fetch_row(const unsigned char *row, size_t bytes) {
    bytes = mlp_min(bytes, MOST_FETCHED);
    for (size_t at = 0; at < bytes; at += 64) {
        __builtin_prefetch(row + at);
    }
    __builtin_prefetch(row + bytes - 1);
}

/* By how many rows; more than there are where they are not fetched. */
static size_t rows_ahead(const mlp_rows *rows, const int64_t *order) {
    size_t bytes = rows->n_columns * type_size[rows->type], n = AHEAD_BYTES / bytes;
    size_t apart = (size_t)(rows->row_stride < 0 ? -rows->row_stride : rows->row_stride);
    n = n < LEAST_AHEAD ? LEAST_AHEAD : n > MOST_AHEAD ? MOST_AHEAD : n;
    return order == NULL || rows->n_rows * mlp_max(apart, bytes) <= MLP_TILE_BYTES ? rows->n_rows : n;
}

size_t mlp_row_bytes(const mlp_rows *rows) {
    size_t size = type_size[rows->type], bytes = rows->n_columns * size;
    bool together = rows->n_columns == 1 || rows->column_stride == (ptrdiff_t)size;
    return together && rows->row_stride == (ptrdiff_t)bytes ? bytes : 0;
}

bool mlp_is_by_columns(const mlp_rows *rows) {
    ptrdiff_t row_step = rows->row_stride < 0 ? -rows->row_stride : rows->row_stride;
    ptrdiff_t column_step = rows->column_stride < 0 ? -rows->column_stride : rows->column_stride;
    return row_step < column_step;
}

/* ---- Columns of rows in an order of their own: n elements; beside the first ones of them those `ahead` further on are
 * fetched. */
#define GATHER(bits)                                                                                               \
    static void gather_##bits(void *out, const unsigned char *p, ptrdiff_t stride, const int64_t *order, size_t n, \
                              size_t n_fetched, size_t ahead) {                                                    \
        size_t i = 0;                                                                                              \
        for (; i < n_fetched; i++) {                                                                               \
            __builtin_prefetch(p + order[i + ahead] * stride);                                                     \
            memcpy((uint##bits##_t *)out + i, p + order[i] * stride, sizeof(uint##bits##_t));                      \
        }                                                                                                          \
        for (; i < n; i++) {                                                                                       \
            memcpy((uint##bits##_t *)out + i, p + order[i] * stride, sizeof(uint##bits##_t));                      \
        }                                                                                                          \
    }
GATHER(8)
GATHER(16)
GATHER(32)
GATHER(64)
#undef GATHER

/* Column j of rows order[first..first+n], to out[at] and on: as it is, or by some elements at a time. */
static void gather_column(const mlp_rows *rows, mlp_dtype dtype, size_t j, const int64_t *order, size_t first, size_t n,
                          void *out, size_t at) {
    enum { SOME = 128 };
    _Alignas(uint64_t) unsigned char elements[SOME * LARGEST_ELEMENT];
    size_t size = type_size[rows->type], item = item_of(dtype);
    size_t ahead = j == 0 || mlp_is_by_columns(rows) ? rows_ahead(rows, order) : rows->n_rows;
    bool as_it_is = is_of_type(rows, dtype);
    const unsigned char *p = row_at(rows, 0) + (ptrdiff_t)j * rows->column_stride;
    for (size_t i = 0, some; i < n; i += some) {
        const int64_t *from = order + first + i;
        size_t left = rows->n_rows - first - i, fetched = ahead < left ? left - ahead : 0;
        some = as_it_is || n - i < SOME ? n - i : SOME;
        fetched = mlp_min(fetched, some);
        void *to = as_it_is ? (void *)((char *)out + at * item) : elements;
        switch (size) {
        case 1: gather_8(to, p, rows->row_stride, from, some, fetched, ahead); break;
        case 2: gather_16(to, p, rows->row_stride, from, some, fetched, ahead); break;
        case 4: gather_32(to, p, rows->row_stride, from, some, fetched, ahead); break;
        default: gather_64(to, p, rows->row_stride, from, some, fetched, ahead); break;
        }
        if (!as_it_is) {
            read_run(rows, dtype, out, at + i, 1, elements, (ptrdiff_t)size, some);
        }
    }
}

/* Column j of rows first..first+n, to out[at] and on. */
static void read_column(const mlp_source *source, size_t j, size_t first, size_t n, void *out, size_t at) {
    const mlp_rows *rows = source->rows;
    if (source->order != NULL) {
        gather_column(rows, source->dtype, j, source->order, first, n, out, at);
    } else {
        const unsigned char *p = row_at(rows, first) + (ptrdiff_t)j * rows->column_stride;
        read_run(rows, source->dtype, out, at, 1, p, rows->row_stride, n);
    }
}

/* Columns of the right elements that lie as they are wanted, each contiguous, from row `first` on, *apart elements from
 * one to the next; or NULL. */
static const void *columns_in_place(const mlp_source *source, size_t first, size_t *apart) {
    const mlp_rows *rows = source->rows;
    ptrdiff_t item = (ptrdiff_t)item_of(source->dtype);
    bool by_columns =
        is_of_type(rows, source->dtype) && rows->row_stride == item && (uintptr_t)rows->data % (size_t)item == 0;
    if (source->order != NULL || !by_columns ||
        (rows->n_columns > 1 && (rows->column_stride < 0 || rows->column_stride % item != 0))) {
        return NULL;
    }
    *apart = rows->n_columns > 1 ? (size_t)(rows->column_stride / item) : 0;
    return row_at(rows, first);
}

/* A tile of rows whose columns are the contiguous direction: in place, or a block at a time, they are transposed.
 * (Those of rows in an order of their own lie in as many lines of the cache as there are elements: nothing is
 * gained.) */
static void turn_columns(const mlp_source *source, size_t first, size_t n, void *tile, size_t ld) {
    enum { MOST_COLUMNS = 16, MOST_ROWS = 128 };
    double block[MOST_COLUMNS * MOST_ROWS];
    size_t columns = source->rows->n_columns, item = item_of(source->dtype), apart;
    const void *in_place = columns_in_place(source, first, &apart);
    if (in_place != NULL) {
        source->kernels->transpose(tile, ld, in_place, apart, columns, n);
        return;
    }
    for (size_t i = 0, height; i < n; i += height) {
        height = mlp_min(n - i, MOST_ROWS);
        for (size_t j = 0, width; j < columns; j += width) {
            width = mlp_min(columns - j, MOST_COLUMNS);
            for (size_t k = 0; k < width; k++) {
                read_column(source, j + k, first + i, height, block, k * MOST_ROWS);
            }
            source->kernels->transpose((char *)tile + (i * ld + j) * item, ld, block, MOST_ROWS, width, height);
        }
    }
}

/* Fewer rows of them are not worth it. */
enum { TURNED_ROWS = 8 };

const void *mlp_read_tile(const mlp_source *source, size_t first, size_t n, void *tile, size_t ld, size_t *ld_out) {
    const mlp_rows *rows = source->rows;
    const int64_t *order = source->order;
    mlp_dtype dtype = source->dtype;
    size_t columns = rows->n_columns, item = item_of(dtype);
    if (order == NULL && is_in_place(rows, dtype, source->together > 0 ? source->together : n)) {
        *ld_out = (size_t)rows->row_stride / item;
        return row_at(rows, first);
    }
    *ld_out = ld;
    if (rows->type == MLP_CSR) {
        for (size_t i = 0; i < n; i++) {
            if (!read_sparse(source, mlp_row_of(order, first + i), tile, i * ld, 1)) {
                return NULL;
            }
        }
        return tile;
    }
    if (order == NULL && n >= TURNED_ROWS && mlp_is_by_columns(rows)) {
        turn_columns(source, first, n, tile, ld);
        return tile;
    }
    bool copy = is_native(rows, dtype), doubles = is_native(rows, MLP_F64);
    size_t ahead =
        mlp_is_by_columns(rows) ? rows->n_rows : rows_ahead(rows, order); /* a row of these is no run of bytes */
    for (size_t i = 0; i < n; i++) {
        const unsigned char *p = row_at(rows, mlp_row_of(order, first + i));
        if (order != NULL && first + i + ahead < rows->n_rows) {
            fetch_row(row_at(rows, (size_t)order[first + i + ahead]), columns * type_size[rows->type]);
        }
        if (copy) {
            memcpy((char *)tile + i * ld * item, p, columns * item);
        } else if (doubles) {
            source->kernels->from_doubles((char *)tile + i * ld * item, p, columns);
        } else {
            read_run(rows, dtype, tile, i * ld, 1, p, rows->column_stride, columns);
        }
    }
    return tile;
}

void mlp_read_doubles(const mlp_rows *rows, const int64_t *order, size_t first, size_t n, double *out) {
    size_t columns = rows->n_columns;
    ptrdiff_t size = (ptrdiff_t)type_size[rows->type];
    if (order == NULL && mlp_row_bytes(rows) > 0) {
        read_run(rows, MLP_F64, out, 0, 1, row_at(rows, first), size, n * columns);
        return;
    }
    if (order != NULL && columns == 1) {
        gather_column(rows, MLP_F64, 0, order, first, n, out, 0);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const unsigned char *p = row_at(rows, mlp_row_of(order, first + i));
        read_run(rows, MLP_F64, out, i * columns, 1, p, rows->column_stride, columns);
    }
}

bool mlp_read_columns(const mlp_source *source, size_t first, size_t n, void *out, size_t stride) {
    const mlp_rows *rows = source->rows;
    const mlp_kernels *kernels = source->kernels;
    size_t apart;
    const void *in_place = kernels != NULL ? columns_in_place(source, first, &apart) : NULL;
    if (in_place != NULL) { /* by whole vectors: for one that is stored in part the rest of it would be waited for */
        kernels->copy_columns(out, stride, in_place, apart, rows->n_columns, n);
        return true;
    }
    bool sparse = rows->type == MLP_CSR, good = true;
    for (size_t i = 0; sparse && i < n && good; i++) {
        good = read_sparse(source, mlp_row_of(source->order, first + i), out, i, stride);
    }
    for (size_t j = 0; !sparse && j < rows->n_columns; j++) {
        read_column(source, j, first, n, out, j * stride);
    }
    if (good && kernels != NULL && stride > n) {
        kernels->repeat_last(out, rows->n_columns, n, stride);
    }
    return good;
}

bool mlp_settle_rows(mlp_rows *rows, mlp_dtype dtype, bool by_columns, bool always, void **owned) {
    size_t item = item_of(dtype), columns = rows->n_columns, n = rows->n_rows;
    *owned = NULL;
    bool settled = is_native(rows, dtype) &&
                   (by_columns ? columns == 1 && rows->row_stride == (ptrdiff_t)item : is_in_place(rows, dtype, n));
    if (rows->data == NULL || (settled && !always) || n > MLP_TILE_BYTES / item / columns) {
        return true;
    }
    bool sparse = rows->type == MLP_CSR, good = true;
    void *block = mlp_reserve(n * columns, item), *cells = sparse ? mlp_allocate(columns, sizeof(double)) : NULL;
    if (block == NULL || (sparse && cells == NULL)) {
        free(block);
        free(cells);
        return false;
    }
    mlp_call complaint;
    mlp_source source = {.rows = rows, .dtype = dtype, .cells = cells, .call = &complaint};
    if (by_columns) {
        good = mlp_read_columns(&source, 0, n, block, n);
    }
    for (size_t i = 0; i < n && !by_columns && good; i++) {
        if (sparse) {
            good = read_sparse(&source, i, block, i * columns, 1);
        } else {
            read_run(rows, dtype, block, i * columns, 1, row_at(rows, i), rows->column_stride, columns);
        }
    }
    free(cells);
    if (!good) { /* the source stays, and whoever reads the row complains */
        free(block);
        return true;
    }
    *owned = block;
    *rows = (mlp_rows){.data = block,
                       .type = type_of(dtype),
                       .n_rows = n,
                       .n_columns = columns,
                       .row_stride = (ptrdiff_t)((by_columns ? 1 : columns) * item),
                       .column_stride = (ptrdiff_t)((by_columns ? n : 1) * item)};
    return true;
}
