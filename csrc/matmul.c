/* matmul.c: the loops around the matrix kernel: panels of the right operand, packed where reading them in place would be
 * slow or out of bounds. */
#include "core.h"

/* Rows of a matrix further apart than this are packed: a panel's lines would compete for a few sets of the L1 cache. */
enum { FAR_APART_BYTES = 2048 };

bool mlp_pause(mlp_call *call, double work) {
    call->work += work;
    if (call->work < 1e7) {
        return false;
    }
    call->work = 0;
    return call->poll != NULL && call->poll(call->context) != 0;
}

bool mlp_product(const mlp_kernels *kernels, void *c, size_t ldc, bool padded, mlp_left a, mlp_right b, size_t m,
                 size_t n, size_t k, bool accumulate, void *panel, mlp_call *call) {
    size_t item = kernels->item, width = kernels->panel;
    bool far_apart = b.ld * item >= FAR_APART_BYTES && m >= 16;
    for (size_t j = 0; j < n; j += width) {
        size_t columns = n - j < width ? n - j : width;
        size_t whole = (columns + kernels->lanes - 1) / kernels->lanes * kernels->lanes;
        const void *right = (const char *)b.data + j * item;
        size_t ld = b.ld;
        if (b.transposed) {
            kernels->pack_transposed(panel, (const char *)b.data + j * b.ld * item, b.ld, k, columns);
            right = panel;
            ld = width;
        } else if (far_apart || (whole != columns && !b.padded)) {
            kernels->pack(panel, right, b.ld, k, columns);
            right = panel;
            ld = width;
        }
        kernels->product((char *)c + j * item, ldc, a.data, a.row, a.step, right, ld, m, padded ? whole : columns, k,
                         accumulate);
        if (mlp_pause(call, 2.0 * (double)m * (double)columns * (double)k)) {
            return false;
        }
    }
    return true;
}
