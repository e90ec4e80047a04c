/* kernels.h: the table of kernels, one per dtype and instruction set: every loop over numbers of the network's dtype is
 * behind it. Loops over the caller's own arrays are in rows.c, check.c and batch.c, but for copy_columns and
 * from_doubles.
 *
 * A "tile" is a row-major block of samples whose rows are padded: ld elements apart, ld a multiple of 64 bytes, so that
 * kernels may read and write whole vectors past the last column. Nothing past them may be read of gradients, of
 * parameters (but the network's own, which are readable a virtual vector further), nor of inputs and targets that are
 * read where the caller has them: the first layer's left operand, `y` of rows.
 * "Lanes" blocks are the transpose: one row per unit, `stride` samples apart, stride a multiple of 64 bytes.
 * Every output element is one chain of fused multiply-adds in the order of k, whatever the blocking: the bits do not
 * depend on tiles, packing, or the width of a vector. Sums over samples in lanes, over the inputs of up to MLP_DOTS
 * units, over the outputs of a layer for dA of few samples, and over many classes run in a virtual vector of 64 bytes.
 * Blocks of samples continue such chains, but for the gradients of few units' weights in later layers (mlp_turns_dw)
 * and of a single unit's bias, which are added up block by block. */
#ifndef MLP_KERNELS_H
#define MLP_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "activations.h"
#include "losses.h"

#define MLP_VECTOR_BYTES 64                    /* the virtual vector, on every machine */
#define MLP_DOTS 4                             /* units whose z are dot products, at most */
#define MLP_PANEL_BYTES (4 * MLP_VECTOR_BYTES) /* of a row of a panel, at most */
#define MLP_BLOCK_ROWS 256                     /* samples that go through all layers together, at most */
/* Rows of the right operand's panels, at most: all rows of a product use one before the next, which may be fetched
 * meanwhile, and both should stay in the L2 cache beside them. */
#define MLP_PANEL_DEPTH ((size_t)1024)

enum {
#define ENTRY(name, from) MLP_ACT_##name,
    MLP_ACTIVATIONS(ENTRY)
#undef ENTRY
        MLP_N_ACTIVATIONS
};

enum {
#define ENTRY(name, activation, kind, parameter, lowest, highest) MLP_LOSS_##name,
    MLP_LOSSES(ENTRY)
#undef ENTRY
        MLP_N_LOSSES
};

/* What an update needs besides its vectors, in double; kernels round to real. */
typedef struct {
    double rate, momentum, beta_1, beta_2, epsilon, rho, eta_minus, eta_plus, step_min, step_max;
    double correction_1, correction_2; /* adam: 1 - beta_1^t, sqrt(1 - beta_2^t) */
    double gradient_rate;              /* sgd with momentum: multiplies the gradient before the velocity takes it */
    double l1, l2, decay; /* of weights w: their gradient takes l1 sign(w) + l2 w, then decay multiplies them */
    bool nesterov;
} mlp_update;

/* Where a product's elements go as gradients: parameters and their two means, in rows ld apart. */
typedef struct {
    void *p, *m, *v;
    size_t ld;
    const mlp_update *update;
} mlp_adam;

/* What becomes of a product's elements as they are complete. */
typedef enum {
    MLP_AS_IT_IS,
    MLP_BIAS,      /* + the operand (n,) */
    MLP_BIAS_RELU, /* relu of that */
    MLP_RELU_SLOPE /* times the slope of relu where its output is the operand's, which lies like C */
} mlp_ending;

/* Memory that is wanted next, in rows that lie ld elements apart: so many lines of the cache from number `first` on,
 * counted down one column of lines after the other. */
typedef struct {
    const void *at;
    size_t rows, ld, first, lines;
} mlp_region;

/* C (m, n) +=/= A (m, k) B (k, n), n at most a panel's width; A's elements lie at a[i*a_row + p*a_k], B's rows at b +
 * p*ldb, whole vectors readable. C is written exactly n wide; with an ending n is a multiple of `edge`, and the operand
 * readable to a whole vector. With a copy n is a panel's width, and m more than the rows of a tile. */
typedef struct {
    void *c;
    const void *a, *b;
    size_t ldc, a_row, a_k, ldb, m, n, k;
    bool accumulate, far; /* far: C, or what Adam's step changes, is beyond the L2 cache, and fetched tiles ahead */
    mlp_ending ending;
    const void *operand; /* of the ending */
    void *copy;          /* (k, panel): the first tile packs B by the way, and the others read it there; or NULL */
    mlp_region ahead;    /* fetched into the L2 cache meanwhile, a part of it beside each tile */
} mlp_panel_product;

/* Rows of weights p (rows, n), exact, and what their rule keeps of them: a velocity or two means, or NULL. Their
 * gradient is A^T dZ of k samples: a (k, rows), dz (k, n) in whole vectors. Rows are whole virtual vectors, but for
 * those of plain gradient descent; by one sample, that may have a next (1, rows): z (1, n), in whole vectors, becomes
 * its product with the new weights. */
typedef struct {
    void *p, *first, *second;
    const void *a, *dz, *next;
    void *z;
    size_t lda, ldz, rows, n, k;
} mlp_outer;

/* One block of targets for a loss: K outputs by `n` samples, lanes layout. */
typedef struct {
    size_t n_outputs, n, stride;
    const void *y;     /* real [K][stride] */
    const void *scale; /* real [n] factor of each sample's derivative: its weight, over the sum of weights for a mean */
    const double *parameters; /* [K] delta or q of each output, for the losses that have one */
} mlp_targets;

/* The same for outputs as they are, rows of a tile. */
typedef struct {
    size_t n_outputs, n, ld;
    const void *y; /* real (n, K), y_ld apart */
    size_t y_ld;
    const void *scale, *parameters; /* real [n]; [K], padded */
} mlp_row_targets;

/* Rows that are sparse, `apart` bytes from one to the next: in each the number of its values, a size_t; room for `most`
 * values, real; and as much for their columns, in ascending order. */
typedef struct {
    const void *rows;
    size_t apart, most;
} mlp_sparse;

/* The way back through a layer of one unit over a tile of rows by n inputs. dw (n,) (+)= a^T dz, db (+)= the sum of dz;
 * and in place of a, dZ of the layer below: dz w^T times its g', with db_below (n,) (+)= the sums of its columns. db
 * and db_below NULL: not wanted. */
typedef struct {
    void *a;            /* in rows ld apart, to whole vectors */
    const void *slopes; /* g' where it does not follow from a; lies like a */
    const void *dz, *w; /* one number a row, in whole virtual vectors, 0 past the last row; (n,) padded */
    void *dw, *db, *db_below;
    size_t rows, n, ld;
    bool accumulate;
} mlp_single;

/* A network of narrow layers for steps of one sample: rows of MLP_ONLINE_ROW elements, whole vectors of them used. */
#define MLP_ONLINE_ROW 16

typedef struct {
    size_t n_in, n_out, activation; /* n_out <= MLP_ONLINE_ROW, and n_in too but in the first layer */
    void *w, *transposed, *b;       /* real [n_in][ROW], [n_out][ROW] (NULL in the first layer), [ROW] (or NULL) */
    void *a, *d;                    /* real [ROW] outputs and g'; d NULL in the last layer */
} mlp_online_layer;

typedef struct {
    size_t n_layers;
    mlp_online_layer *layers; /* [L] */
    size_t widest;            /* the most outputs of a layer */
    size_t loss, output;      /* the output activation is applied where the loss is of the output, else in the loss */
    bool of_one;              /* its loss is one of one output: a softmax is one of all, though there may be one */
    bool of_output;
    const double *loss_parameters;
    double rate;
    void *scale; /* one virtual vector of ones */
    void *lanes; /* 4 K virtual vectors */
    void *dz;    /* real [ROW] */
} mlp_online;

/* The same for steps of as many samples as a virtual vector has lanes, at most: rows of these are virtual vectors. */
typedef struct {
    size_t n_in, n_out, activation;
    const void *w, *b; /* where the parameters are; b NULL: none */
    void *a, *d, *dz;  /* n_out rows each: outputs, or z; g'; dZ */
} mlp_brief_layer;

/* The gradient of a parameter is the sum over the samples of a times dz. */
typedef struct {
    const void *a, *dz;
} mlp_factors;

typedef struct {
    size_t n_layers, n_parameters;
    mlp_brief_layer *layers; /* [L] */
    mlp_factors *factors;    /* [N], and on to a whole virtual vector of parameters */
    size_t loss;
    bool of_output; /* the loss; else it is of z */
    const double *loss_parameters;
    size_t n;        /* samples that are there */
    void *x, *scale; /* n[0] rows; one, which is 0 past the last sample */
} mlp_brief;

typedef struct {
    const char *name;
    size_t item;       /* sizeof(real) */
    size_t lanes;      /* elements of a vector */
    size_t edge;       /* and of the shortest one that a product writes */
    size_t panel;      /* columns of B that a product takes at a time; like the two above a power of 2 */
    size_t near_depth; /* its rows where A's columns or B's rows lie apart: a small tile wants them in L1 */

    /* ---- Products. */
    void (*product)(const mlp_panel_product *p);
    /* The same of more columns than a vector has, whose elements go through update_adam and are not kept: C,
     * accumulate, far, ending and ahead are not looked at, and there is no copy. Or NULL: do one after the other. */
    void (*product_adam)(const mlp_panel_product *p, const mlp_adam *to);
    /* panel (k, panel), zeros past n up to a whole vector, from b (k, n); or from the rows of b (n, k). */
    void (*pack)(void *panel, const void *b, size_t ldb, size_t k, size_t n);
    void (*pack_transposed)(void *panel, const void *b, size_t ldb, size_t k, size_t n);
    void (*transpose)(void *out /* (columns, rows) */, size_t ld_out, const void *in, size_t ld_in, size_t rows,
                      size_t columns);

    /* ---- Elementwise over a tile of rows by n columns, whole vectors. */
    /* a = g(a + bias) in place; d = g'(z) where it does not follow from the output, unless NULL. bias: [n] padded, or
     * NULL. */
    void (*forward[MLP_N_ACTIVATIONS])(void *a, void *d, const void *bias, size_t rows, size_t n, size_t ld);
    /* dz = dz * g'(.), from a where g' follows from the output; from d = g' itself where it does not. Where they are
     * not NULL, column (rows,) times row (n,), padded, is there in place of the dz that is multiplied. */
    void (*backward[MLP_N_ACTIVATIONS])(void *dz, const void *a_or_d, const void *column, const void *row, size_t rows,
                                        size_t n, size_t ld);
    void (*exponential)(void *a, size_t rows, size_t n, size_t ld);
    void (*multiply)(void *a, const void *b, size_t rows, size_t n, size_t ld); /* a = a b */
    /* out = a mask, both to whole virtual vectors. */
    void (*dropout)(void *mask, void *out, const void *a, uint64_t key, size_t first_place, double rate, size_t rows,
                    size_t n, size_t ld, bool lanes);
    /* sums (n,) exact, (+)= the rows of a tile, added in order. */
    void (*column_sums)(void *sums, const void *a, size_t ld, size_t rows, size_t n, bool accumulate);

    /* ---- Losses, in lanes layout: losses[i] = the sample's loss (unweighted), dz the derivative by the loss's own
     * argument: a for losses of a difference, z for those of logits (then a is not read). dz may be NULL, or a, but not
     * z. */
    void (*loss[MLP_N_LOSSES])(double *losses, void *dz, const void *a_or_z, const mlp_targets *targets);
    /* Losses of a difference on tiles (n, ld): a sample's loss runs over its outputs in eight lanes of double. */
    void (*loss_rows[MLP_N_LOSSES])(double *losses, void *dz, const void *a, const mlp_row_targets *targets);
    /* sum of weight times loss, where a weight of 0 is no sample at all; weights NULL: all one. */
    double (*sum_losses)(const double *losses, const double *weights, size_t n);
    void (*scale_of)(void *scale, const double *weights, double factor, size_t n);
    /* dA = derivative by the output activations, for the records of a backward pass. */
    void (*output_gradient[MLP_N_LOSSES])(void *da, const void *a, const mlp_targets *targets);
    void (*clipped_entropy)(double *losses, const void *a_or_z, const mlp_targets *t, bool binary); /* binary: z */
    void (*softmax)(void *a, size_t n_outputs, size_t n, size_t stride); /* in place, lanes layout */
    /* The same of rows of a tile, of a virtual vector of classes at least. */
    void (*softmax_rows)(void *a, size_t rows, size_t n_outputs, size_t ld);
    /* Its cross-entropy with labels [rows], and the derivative by z times scale [rows]; dz NULL: not wanted. z is used
     * up. */
    void (*class_rows)(double *losses, void *dz, void *z, const double *labels, const void *scale, size_t rows,
                       size_t n_outputs, size_t ld);

    /* ---- Labels from probabilities, -1 where one is NaN; true: there is one. */
    /* [n], the first largest: in lanes layout, and of rows of a tile, of a virtual vector of classes at least. */
    bool (*class_labels)(int64_t *labels, const void *a, size_t n_outputs, size_t n, size_t stride);
    bool (*class_labels_of_rows)(int64_t *labels, const void *a, size_t rows, size_t n_outputs, size_t ld);
    /* (n, n_outputs), 1 where an output is not below its threshold: in lanes layout. */
    bool (*threshold_labels)(int64_t *labels, const void *a, const double *thresholds, size_t n_outputs, size_t n,
                             size_t stride);

    /* ---- Layers of few units, samples in the lanes: one row per unit. n samples = whole virtual vectors. */
    void (*lanes_forward)(void *z, const void *a, const void *w, const void *bias, size_t n_in, size_t n_out, size_t n);
    void (*lanes_backward)(void *da, const void *dz, const void *w, size_t n_in, size_t n_out, size_t n);
    /* sums: one virtual vector for each of W (n_in, n_out), then b (n_out). */
    void (*lanes_gradient)(void *sums, const void *a, const void *dz, size_t n_in, size_t n_out, size_t n, bool bias,
                           bool accumulate);
    void (*lanes_reduce)(void *out, const void *sums, size_t n);
    /* n >= 1 elements of each of `rows` columns, `apart` elements from one to the next, to rows `stride` apart; and the
     * last one once more up to the stride, in whole vectors. */
    void (*copy_columns)(void *out, size_t stride, const void *columns, size_t apart, size_t rows, size_t n);
    /* In each of `rows` rows the last of n elements, n >= 1, once more up to its stride. */
    void (*repeat_last)(void *a, size_t rows, size_t n, size_t stride);

    /* ---- Layers of a few units over a tile: w (units, n), ldw apart; z (units, stride), one number a row, in whole
     * virtual vectors. */
    void (*dots_forward)(void *z, size_t stride, const void *a, size_t ld, const void *w, size_t ldw, const void *bias,
                         size_t rows, size_t n, size_t units, size_t ahead); /* of a: elements; 0: nothing is fetched */
    /* ---- A layer of one unit: dz like z, 0 past the last row. */
    void (*single_gradient)(void *dw, void *db, const void *a, size_t ld, const void *dz, size_t rows, size_t n,
                            bool accumulate, size_t ahead);          /* db NULL: not wanted */
    void (*single_backward[MLP_N_ACTIVATIONS])(const mlp_single *p); /* NULL: do one after the other */

    /* ---- A first layer of sparse rows: the chains of its products without the zeros. They have the same bits where
     * all numbers are finite (a zero times infinity is none), but for the sign of a zero. */
    /* z (n, ld) = x W, w (inputs, n_out), to whole vectors. */
    void (*sparse_forward)(void *z, size_t ld, const mlp_sparse *x, const void *w, size_t n, size_t n_out);
    /* As dots_forward, but w (inputs, units) as it is. */
    void (*sparse_dots)(void *z, size_t stride, const mlp_sparse *x, const void *w, const void *bias, size_t n,
                        size_t units);
    /* Rows begin..end of dW (inputs, n_out) += x^T dZ; dw: where row 0 lies. */
    void (*sparse_gradient)(void *dw, const mlp_sparse *x, const void *dz, size_t ld, size_t n, size_t n_out,
                            size_t begin, size_t end);

    /* Steps of gradient descent on samples x (n, n[0]), y (n, K), one by one, their losses added to *loss; how many
     * were made: fewer than n where a loss is not finite. */
    size_t (*online)(const mlp_online *net, double *loss, const void *x, size_t ldx, const void *y, size_t ldy,
                     size_t n);

    /* The loss of samples x (n[0] rows), y (K rows), and its gradient (N,). */
    double (*brief)(const mlp_brief *net, void *gradient, const void *x, const void *y);
    /* A few elements, ld apart, to such a row; and the last one once more to its end. */
    void (*brief_column)(void *row, const void *column, size_t ld, size_t n);

    /* ---- Flat vectors of any length; sums in double. */
    void (*update_sgd)(void *p, const void *g, void *v, size_t n, const mlp_update *u); /* v NULL: no momentum */
    void (*update_adam)(void *p, const void *g, void *m, void *v, size_t n, const mlp_update *u);
    void (*update_rmsprop)(void *p, const void *g, void *v, void *momentum, size_t n, const mlp_update *u);
    void (*update_rprop)(void *p, const void *g, void *previous, void *steps, size_t n, const mlp_update *u);
    /* Those of weights by few samples, with the update's penalty l2 and decay. */
    void (*outer_sgd)(const mlp_outer *o, const mlp_update *u);
    void (*outer_adam)(const mlp_outer *o, const mlp_update *u);
    void (*clear_subnormals)(void *x, size_t n); /* x = 0 where it is less than the smallest normal number */
    void (*fill)(void *x, double value, size_t n);
    void (*from_doubles)(void *x, const void *doubles, size_t n); /* wherever these lie */
    void (*scale)(void *x, double factor, size_t n);
    void (*add)(void *x, const void *y, size_t n);
    void (*axpy)(void *out, const void *x, double factor, const void *y, size_t n); /* x + factor y */
    void (*add_penalty)(void *g, const void *w, double l1, double l2, size_t n);    /* g += l1 sign(w) + l2 w */
    double (*dot)(const void *x, const void *y, size_t n);
    double (*sum_squares)(const void *x, size_t n);
    double (*sum_abs)(const void *x, size_t n);
    double (*max_abs)(const void *x, size_t n);
    bool (*all_finite)(const void *x, size_t n);
} mlp_kernels;

/* The best table for a dtype on this machine, or the named one; NULL: unknown, or not on this machine. */
const mlp_kernels *mlp_find_kernels(const char *name, bool is_double);

/* The same, or those with shorter vectors where one of these holds n elements: a chain of operations on it waits
 * less. */
const mlp_kernels *mlp_kernels_for(const mlp_kernels *kernels, size_t n);

#endif
