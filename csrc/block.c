/* block.c: the block that a pass has: reading its rows, and where what belongs to a layer lies. */
#include "pass.h"

/* ---- Its rows. */

/* A block of sparse rows pays where they have a value in so few of their columns, and each in so few that a row of the
 * tile has room for it. A few columns are not worth it. */
enum { SPARSE_PART = 8, SPARSE_ROOM = 3, SPARSE_COLUMNS = 64 };

mlp_sparse mlp_sparse_input(const mlp_pass *pass, size_t first) {
    size_t bytes = sizeof(size_t) + pass->longest_row * (pass->net->item + sizeof(uint32_t));
    size_t apart = (bytes + sizeof(size_t) - 1) / sizeof(size_t) * sizeof(size_t);
    return (mlp_sparse){(const char *)pass->a[0] + first * apart, apart, pass->longest_row};
}

/* The rows of a block as sparse ones, as close together as the longest allows; false: they are to be read like
 * others. */
static bool read_sparse_rows(mlp_pass *pass, const mlp_source *source, size_t first) {
    const mlp_network *net = pass->net;
    pass->longest_row = 0;
    for (size_t i = 0; i < pass->n; i++) {
        size_t n = mlp_count_values(source, mlp_row_of(source->order, first + i));
        pass->longest_row = mlp_max(n, pass->longest_row);
    }
    if (pass->longest_row > mlp_inputs(net) / SPARSE_ROOM) {
        return false;
    }
    mlp_sparse sparse = mlp_sparse_input(pass, 0);
    pass->n_values = 0;
    for (size_t i = 0; i < pass->n; i++) {
        size_t *count = (void *)((char *)pass->a[0] + i * sparse.apart);
        char *values = (char *)(count + 1), *columns = values + sparse.most * net->item;
        *count = mlp_compress_row(source, mlp_row_of(source->order, first + i), sparse.most, (void *)columns, values);
        if (*count == SIZE_MAX) {
            return false;
        }
        pass->n_values += *count;
    }
    return pass->n_values <= pass->n * mlp_inputs(net) / SPARSE_PART;
}

/* Whether it is worth a try: not in a part of a block, as dW is computed from all parts as from one tile. */
static bool may_be_sparse(const mlp_pass *pass, const mlp_rows *x) {
    return x->type == MLP_CSR && !pass->plan.lanes && pass->whole == 0 && x->n_columns >= SPARSE_COLUMNS;
}

/* From so many inputs on rows are transposed by vectors, a group of samples at a time where they are gathered first. */
enum { TRANSPOSED_INPUTS = 8, GROUP_ROWS = 32 };

/* Samples that are not there are the last one, so that they overflow no earlier. */
static bool read_in_lanes(const mlp_pass *pass, const mlp_source *source, size_t first) {
    const mlp_network *net = pass->net;
    size_t inputs = mlp_inputs(net), n = pass->n, stride = pass->stride, ld;
    void *a = pass->a[0];
    if (inputs < TRANSPOSED_INPUTS || source->rows->type == MLP_CSR || mlp_is_by_columns(source->rows)) {
        return mlp_read_columns(source, first, n, a, stride);
    }
    double gathered[GROUP_ROWS * MLP_LANES_INPUTS];
    for (size_t i = 0; i < n; i += GROUP_ROWS) {
        size_t m = mlp_min(n - i, GROUP_ROWS);
        const void *rows = mlp_read_tile(source, first + i, m, gathered, inputs, &ld);
        net->kernels->transpose(mlp_at(net, a, i), stride, rows, ld, m, inputs);
    }
    if (stride > n) {
        net->kernels->repeat_last(a, inputs, n, stride);
    }
    return true;
}

bool mlp_read_inputs(mlp_pass *pass, const mlp_rows *x, const int64_t *order, size_t first) {
    const mlp_network *net = pass->net;
    mlp_source source = {.rows = x,
                         .dtype = net->dtype,
                         .order = order,
                         .together = pass->whole,
                         .cells = pass->cells,
                         .call = pass->team.call,
                         .kernels = net->kernels};
    pass->sparse = may_be_sparse(pass, x) && read_sparse_rows(pass, &source, first);
    if (pass->sparse) {
        pass->x = pass->a[0];
        pass->x_ld = net->layers[0].ld;
        return true;
    }
    if (!pass->plan.lanes) {
        pass->x = mlp_read_tile(&source, first, pass->n, pass->a[0], net->layers[0].ld, &pass->x_ld);
        return pass->x != NULL;
    }
    pass->x = pass->a[0];
    return read_in_lanes(pass, &source, first);
}

/* ---- A layer's part of it. */

const void *mlp_layer_input(const mlp_pass *pass, size_t l, size_t *ld) {
    if (l == 1) {
        *ld = pass->x_ld;
        return pass->x;
    }
    *ld = pass->net->layers[l - 1].ld;
    return pass->mask[l - 1] != NULL ? pass->dropped[l - 1] : pass->a[l - 1];
}

bool mlp_goes_on_in_place(const mlp_pass *pass, size_t l) {
    return l == 1 && pass->next != NULL && pass->x != pass->a[0];
}

const void *mlp_slope_of(const mlp_pass *pass, size_t l) { return pass->d[l] != NULL ? pass->d[l] : pass->a[l]; }

void mlp_shape_of(const mlp_pass *pass, size_t l, size_t *rows, size_t *n, size_t *ld) {
    size_t units = pass->net->layers[l].n_out;
    *rows = pass->plan.lanes ? units : pass->n;
    *n = pass->plan.lanes ? pass->stride : units;
    *ld = pass->plan.lanes ? pass->stride : pass->net->layers[l].ld;
}

void mlp_copy_out(const mlp_pass *pass, const void *block, bool lanes, size_t l, void *out, size_t first) {
    const mlp_network *net = pass->net;
    size_t width = net->layers[l].n_out, ld = lanes ? pass->stride : net->layers[l].ld;
    char *to = mlp_at(net, out, first * width);
    if (lanes) {
        net->kernels->transpose(to, width, block, ld, width, pass->n);
        return;
    }
    for (size_t i = 0; i < pass->n; i++) {
        memcpy(to + i * width * net->item, mlp_at(net, block, i * ld), width * net->item);
    }
}
