/* matmul.h: products that threads may share, and regions of theirs whose calling thread looks up: matmul.c. */
#ifndef MLP_MATMUL_H
#define MLP_MATMUL_H

#include "core.h"

typedef struct {
    const void *data; /* element (i, p) at data[i*row + p*step] */
    size_t row, step;
} mlp_left;

typedef struct {
    const void *data;
    size_t ld;
    bool transposed; /* data holds B^T (n, k) */
    bool padded;     /* whole vectors are readable past the last column */
} mlp_right;

/* A part of a product that is complete: C's rows from `row` on, and columns from `column` on. */
typedef struct {
    size_t row, n_rows, column, n_columns;
    const void *c; /* where C is not kept: this part of it, readable to whole vectors both ways, in rows ldc apart */
    size_t ldc;
} mlp_piece;

/* C (m, n) +=/= A (m, k) B (k, n). */
typedef struct {
    const mlp_kernels *kernels;
    void *c; /* NULL: it is not kept, and pieces, of whole vectors of rows but for the last ones, go from a thread's
              * tile to `done`; k is at most MLP_PANEL_DEPTH */
    size_t ldc;
    bool padded; /* C's rows may be written to the next whole vector */
    mlp_left a;
    mlp_right b;
    size_t m, n, k;
    bool accumulate;
    bool keeps_depth;     /* threads share k: of B, the weights, each keeps to some rows */
    bool keeps_rows;      /* they share m: of the weights, A, or their gradient, C, each keeps to some rows */
    bool keeps_columns;   /* they share n alone: a piece has all m rows, MLP_TURNED_UNITS at most */
    bool passed;          /* part of A comes from another core */
    const mlp_adam *adam; /* C goes through Adam's step in place of being kept, k in one part; or NULL */
    mlp_ending ending;    /* what becomes of C, if anything, and by what */
    const void *operand;
    const void *next; /* as many rows of next_row bytes that are wanted after A's: fetched meanwhile; or NULL */
    size_t next_row;
    /* Called with each piece of C when it is complete, from any thread; NULL: nothing is to be done. */
    void (*done)(void *context, const mlp_piece *piece);
    void *context;
} mlp_product;

/* Fewer rows are not worth packing the right operand for them. */
#define MLP_FEW_ROWS 16

/* Rows of C that are completed together, fewer than half as many again: whole tiles of nearly every height there is,
 * and whole vectors; with a panel's columns a good part of the L1 cache. */
#define MLP_GROUP_ROWS 48
#define MLP_PIECE_ROWS 80 /* of a thread's tile: no group has more, whole vectors of rows */

/* Units of a layer whose dW^T may be computed in place of its dW. */
#define MLP_TURNED_UNITS 48

/* Who computes: so many threads of the call's, each with room for a panel, and behind it, where products are not kept,
 * for a piece of C. */
typedef struct {
    mlp_call *call;
    size_t n_threads;
    void *panels;
    size_t panel_bytes, thread_bytes;
} mlp_team;

size_t mlp_team_threads(const mlp_team *team, double work);
/* A step of the first layer by one sample also multiplies the next one. */
bool mlp_multiplies_ahead(const mlp_network *net, const mlp_team *team);
bool mlp_multiply(const mlp_product *product, mlp_team *team); /* false: the caller wants the call to end */

/* A team's region: its calling thread looks up now and then, and tells the others to stop. */
typedef struct {
    mlp_call *call;
    size_t n_threads;
    atomic_bool stop;
} mlp_watch;

/* After so many operations, while the other threads have made as many. */
void mlp_look_up(mlp_watch *watch, size_t thread, double work);
bool mlp_is_stopped(mlp_watch *watch);
/* Tasks of all together `work`, whose context has the watch. False: the caller wants the call to end. */
bool mlp_share_watched(mlp_team *team, mlp_watch *watch, double work, size_t n_tasks, mlp_task task, void *context);

#endif
