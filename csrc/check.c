/* check.c: values of the caller's data, looked at before anything is computed from them. */
#include "core.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((format(printf, 5, 6))) static mlp_status reject(mlp_call *call, mlp_status status, size_t row,
                                                               size_t column, const char *reason, ...) {
    va_list values;
    call->row = row;
    call->column = column;
    va_start(values, reason);
    vsnprintf(call->reason, sizeof call->reason, reason, values);
    va_end(values);
    return status;
}

mlp_status mlp_check_label(double label, size_t n_classes, size_t row, mlp_call *call) {
    if (label >= 0 && label < (double)n_classes && (double)(size_t)label == label) {
        return MLP_OK;
    }
    return n_classes == 1 ? reject(call, MLP_BAD_Y, row, 0,
                                   "0, the only class of one output (labels 0 and 1: binary_cross_entropy)")
                          : reject(call, MLP_BAD_Y, row, 0, "a whole number from 0 to %zu", n_classes - 1);
}

static size_t rows_at_a_time(const mlp_rows *rows, size_t item) {
    size_t fit = MLP_TILE_BYTES / item / rows->n_columns;
    fit = fit == 0 ? 1 : fit;
    return mlp_min(fit, rows->n_rows);
}

/* The element of a tile that is not finite, whose source may be finite and too large for the network's dtype. */
static mlp_status reject_x(const mlp_network *net, const mlp_rows *x, size_t row, const void *values, mlp_call *call) {
    size_t column = 0; /* in the end the last one, where another thread has written a number meanwhile */
    while (column + 1 < x->n_columns && net->kernels->all_finite(mlp_at(net, values, column), 1)) {
        column++;
    }
    bool finite = isfinite(mlp_element(x, row, column));
    const char *reason = !finite                 ? "finite"
                         : net->dtype == MLP_F32 ? "within the range of float32"
                                                 : "finite when duplicates are added in their own dtype";
    return reject(call, MLP_BAD_X, row, column, "%s", reason);
}

/* Whether nothing is wrong with n sparse rows, and that is seen at once; false proves nothing. Room for a row's columns
 * and its values. */
static bool are_simple(const mlp_network *net, const mlp_source *source, size_t first, size_t n, void *columns,
                       void *values, double *seen) {
    for (size_t i = first; i < first + n; i++) {
        size_t count = mlp_compress_row(source, i, source->rows->n_columns, columns, values);
        if (count == SIZE_MAX || !net->kernels->all_finite(values, count)) {
            return false;
        }
        *seen += (double)count;
    }
    return true;
}

static mlp_status check_x(const mlp_network *net, const mlp_rows *x, mlp_call *call) {
    bool sparse = x->type == MLP_CSR;
    if (!sparse && x->type < MLP_FLOAT16) { /* whole numbers */
        return MLP_OK;
    }
    size_t columns = x->n_columns, step = rows_at_a_time(x, net->item);
    void *tile = mlp_reserve(step * columns, net->item);
    void *cells = sparse ? mlp_allocate(columns, sizeof(double)) : NULL;
    mlp_status status = tile == NULL || (sparse && cells == NULL) ? MLP_NO_MEMORY : MLP_OK;
    mlp_source source = {.rows = x, .dtype = net->dtype, .cells = cells, .call = call, .kernels = net->kernels};
    for (size_t first = 0; first < x->n_rows && status == MLP_OK; first += step) {
        size_t n = mlp_min(x->n_rows - first, step), ld;
        double seen = (double)n;
        if (sparse && are_simple(net, &source, first, n, cells, tile, &seen)) {
            status = mlp_pause(call, MLP_SAMPLE_WORK * seen) ? MLP_INTERRUPTED : MLP_OK;
            continue;
        }
        const void *read = mlp_read_tile(&source, first, n, tile, columns, &ld);
        if (read == NULL) {
            status = MLP_BAD_X;
            break;
        }
        bool together = ld == columns && net->kernels->all_finite(read, n * columns);
        for (size_t i = 0; i < n && !together && status == MLP_OK; i++) {
            const void *row = mlp_at(net, read, i * ld);
            if (!net->kernels->all_finite(row, columns)) {
                status = reject_x(net, x, first + i, row, call);
            }
        }
        if (status == MLP_OK && mlp_pause(call, MLP_SAMPLE_WORK * (double)(n * columns))) {
            status = MLP_INTERRUPTED;
        }
    }
    free(cells);
    free(tile);
    return status;
}

/* Probabilities may sum to so much less or more than 1. */
#define SUM_TOLERANCE 1e-3

static mlp_status check_y_row(const mlp_network *net, const mlp_data *data, const double *y, size_t row,
                              mlp_call *call) {
    const mlp_loss_line *loss = mlp_loss_at(net->loss);
    if (data->labels) {
        return mlp_check_label(y[0], mlp_outputs(net), row, call);
    }
    double sum = 0;
    for (size_t k = 0; k < data->y.n_columns; k++) {
        if (!(y[k] >= loss->lowest && y[k] <= loss->highest && isfinite(y[k]))) {
            const char *expected = !isfinite(loss->lowest)    ? "finite"
                                   : !isfinite(loss->highest) ? "finite and not negative"
                                   : y[k] == -1.0             ? "from 0 to 1 (for -1 and +1 give (y+1)/2)"
                                                              : "from 0 to 1";
            return reject(call, MLP_BAD_Y, row, k, "%s", expected);
        }
        if (net->dtype == MLP_F32 && !isfinite((double)(float)y[k])) {
            return reject(call, MLP_BAD_Y, row, k, "within the range of float32");
        }
        if (data->class_weight != NULL && y[k] != 0.0 && y[k] != 1.0) {
            return reject(call, MLP_BAD_Y, row, k, "0 or 1 where class_weight is given");
        }
        sum += y[k];
    }
    if (net->loss_kind == OF_LOGITS && fabs(sum - 1.0) > SUM_TOLERANCE) {
        return reject(call, MLP_BAD_Y, row, SIZE_MAX, "a row of probabilities that sum to 1, not to %g", sum);
    }
    return MLP_OK;
}

/* Whether there is nothing in so many rows of targets that check_y_row could object to; false proves nothing. */
static bool are_plain(const mlp_network *net, const mlp_data *data, const double *y, size_t n_rows) {
    const mlp_loss_line *loss = mlp_loss_at(net->loss);
    size_t columns = data->y.n_columns;
    double most = net->dtype == MLP_F32 ? (double)FLT_MAX : DBL_MAX;
    double lowest = fmax(loss->lowest, -most), highest = fmin(loss->highest, most);
    unsigned outside = 0;
    if (data->labels || data->class_weight != NULL) {
        return false;
    }
    for (size_t i = 0; i < n_rows * columns; i++) {
        outside |= (unsigned)!(y[i] >= lowest) | (unsigned)!(y[i] <= highest);
    }
    for (size_t i = 0; i < n_rows && net->loss_kind == OF_LOGITS; i++, y += columns) {
        double sum = 0;
        for (size_t k = 0; k < columns; k++) {
            sum += y[k];
        }
        outside |= (unsigned)!(fabs(sum - 1.0) <= SUM_TOLERANCE);
    }
    return outside == 0;
}

/* Whether all are targets, where every finite number is one: they can be looked at in the network's dtype. tile: room
 * for them, where they are not in place. */
static bool are_finite(const mlp_network *net, const mlp_data *data, size_t first, size_t n, void *tile) {
    const mlp_loss_line *loss = mlp_loss_at(net->loss);
    size_t columns = data->y.n_columns, ld;
    if (data->labels || data->class_weight != NULL || isfinite(loss->lowest) || isfinite(loss->highest)) {
        return false;
    }
    mlp_source source = {.rows = &data->y, .dtype = net->dtype, .kernels = net->kernels};
    const void *read = mlp_read_tile(&source, first, n, tile, columns, &ld);
    return ld == columns && net->kernels->all_finite(read, n * columns);
}

/* Targets, and the weights that go with them. */
static mlp_status check_y(const mlp_network *net, const mlp_data *data, mlp_call *call) {
    mlp_rows y = data->y;
    size_t step = rows_at_a_time(&y, sizeof(double)), columns = y.n_columns;
    double *values = mlp_reserve(step * (columns + 1), sizeof(double));
    if (values == NULL) {
        return MLP_NO_MEMORY;
    }
    double *weights = values + step * columns, sum = 0;
    mlp_status status = MLP_OK;
    for (size_t first = 0; first < y.n_rows && status == MLP_OK; first += step) {
        size_t n = mlp_min(y.n_rows - first, step);
        bool weighted = data->weight.data != NULL, plain = !weighted && are_finite(net, data, first, n, values);
        if (!plain) {
            mlp_read_doubles(&y, NULL, first, n, values);
        }
        if (weighted) {
            mlp_read_doubles(&data->weight, NULL, first, n, weights);
        }
        if (plain || (!weighted && are_plain(net, data, values, n))) {
            sum += (double)n;
            n = 0;
        }
        for (size_t i = 0; i < n && status == MLP_OK; i++) {
            const double *row = values + i * columns;
            status = check_y_row(net, data, row, first + i, call);
            double weight = weighted ? weights[i] : 1.0;
            if (status == MLP_OK && !(weight >= 0 && isfinite(weight))) {
                status = reject(call, MLP_BAD_WEIGHT, first + i, 0, "finite and not negative");
            }
            sum +=
                status == MLP_OK && data->class_weight != NULL ? weight * data->class_weight[(size_t)row[0]] : weight;
        }
        if (status == MLP_OK && mlp_pause(call, (double)(step * columns))) {
            status = MLP_INTERRUPTED;
        }
    }
    if (status == MLP_OK && !(sum >= DBL_MIN && isfinite(sum))) {
        const char *expected = sum > 1 ? "finite in sum" : sum > 0 ? "2.3e-308 or more in sum" : "positive in sum";
        status = reject(call, MLP_BAD_WEIGHT, SIZE_MAX, 0, "%s, which is %g", expected, sum);
    }
    free(values);
    return status;
}

mlp_status mlp_check_data(const mlp_network *net, const mlp_data *data, mlp_call *call) {
    call->validation = false;
    mlp_status status = check_x(net, &data->x, call);
    return status == MLP_OK ? check_y(net, data, call) : status;
}
