/* table.h: one dtype on one instruction set: includes the templates in order and lists their functions in a table.
 *
 * The including file, one per instruction set, defines KERNELS_NAME (a string), VECTOR_HEADER, TABLE (the name of the
 * table) and REAL_IS_DOUBLE, and nothing else. */
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include VECTOR_HEADER
#include "functions.h"

#include "../kernels.h"

#define PANEL (TILE_VECTORS * LANES)
_Static_assert(PANEL * sizeof(real) <= MLP_PANEL_BYTES, "panels are narrower");
/* Rows of a panel that the L1 cache holds with a line of A for each. A small tile uses what it loads so few times that
 * loading it from L2 again for every tile takes longer than C's way to memory and back. */
#define NEAR_DEPTH ((size_t)24 * 1024 / (PANEL * sizeof(real) + MLP_VECTOR_BYTES))

#include "gemm.h"

#include "elementwise.h"

#include "loss.h"

#include "lanes.h"

#include "dropout.h"

#include "single.h"

#include "classes.h"

#include "labels.h"

#include "sparse.h"

#include "online.h"

#include "brief.h"

#include "update.h"

#include "fused.h"

#include "outer.h"

extern const mlp_kernels TABLE;
const mlp_kernels TABLE = {
    .name = KERNELS_NAME,
    .item = sizeof(real),
    .lanes = LANES,
    .edge = HALF_LANES,
    .panel = PANEL,
    .near_depth = TILE_ROWS * TILE_VECTORS > 12 ? MLP_PANEL_DEPTH : NEAR_DEPTH,
    .product = product,
    .product_adam = FUSED_PRODUCT,
    .pack = pack,
    .pack_transposed = pack_transposed,
    .transpose = transpose,
#define ENTRY(name, from) [MLP_ACT_##name] = forward_##name,
    .forward = {MLP_ACTIVATIONS(ENTRY)},
#undef ENTRY
#define ENTRY(name, from) [MLP_ACT_##name] = backward_##name,
    .backward = {MLP_ACTIVATIONS(ENTRY)},
#undef ENTRY
    .exponential = exponential,
    .multiply = multiply,
    .dropout = dropout,
    .column_sums = column_sums,
#define ENTRY(name, activation, kind, parameter, lowest, highest) [MLP_LOSS_##name] = block_##name,
    .loss = {MLP_LOSSES(ENTRY)},
#undef ENTRY
#define ENTRY(name, activation, kind, parameter, lowest, highest) [MLP_LOSS_##name] = output_gradient_##name,
    .output_gradient = {MLP_LOSSES(ENTRY)},
#undef ENTRY
#define OF_DIFFERENCE(name) rows_##name
#define OF_LOGIT(name) NULL
#define OF_LOGITS(name) NULL
#define ENTRY(name, activation, kind, parameter, lowest, highest) [MLP_LOSS_##name] = kind(name),
    .loss_rows = {MLP_LOSSES(ENTRY)},
#undef ENTRY
#undef OF_DIFFERENCE
#undef OF_LOGIT
#undef OF_LOGITS
    .sum_losses = sum_losses,
    .scale_of = scale_of,
    .softmax = softmax,
    .softmax_rows = softmax_rows,
    .class_rows = class_rows,
    .class_labels = class_labels,
    .class_labels_of_rows = class_labels_of_rows,
    .threshold_labels = threshold_labels,
    .clipped_entropy = clipped_entropy,
    .lanes_forward = lanes_forward,
    .lanes_backward = lanes_backward,
    .lanes_gradient = lanes_gradient,
    .lanes_reduce = lanes_reduce,
    .copy_columns = copy_columns,
    .repeat_last = repeat_last,
    .dots_forward = dots_forward,
    .single_gradient = single_gradient,
    .single_backward = {[MLP_ACT_relu] = single_backward_relu,
                        [MLP_ACT_sigmoid] = single_backward_sigmoid,
                        [MLP_ACT_tanh] = single_backward_tanh,
                        [MLP_ACT_gelu] = single_backward_by_slopes,
                        [MLP_ACT_silu] = single_backward_by_slopes,
                        [MLP_ACT_mish] = single_backward_by_slopes},
    .sparse_forward = sparse_forward,
    .sparse_dots = sparse_dots,
    .sparse_gradient = sparse_gradient,
    .online = online,
    .brief = brief,
    .brief_column = brief_column,
    .update_sgd = update_sgd,
    .update_adam = update_adam,
    .update_rmsprop = update_rmsprop,
    .update_rprop = update_rprop,
    .outer_sgd = outer_sgd,
    .outer_adam = outer_adam,
    .clear_subnormals = clear_subnormals,
    .fill = fill,
    .from_doubles = from_doubles,
    .scale = scale,
    .add = add,
    .axpy = axpy,
    .add_penalty = add_penalty,
    .dot = dot,
    .sum_squares = sum_squares,
    .sum_abs = sum_abs,
    .max_abs = max_abs,
    .all_finite = all_finite,
};
