/* matmul.c: the loops around the matrix kernel: panels of the right operand, packed where reading them in place would
 * be slow or out of bounds. */
#include "core.h"

#include <stdatomic.h>

/* Rows of a matrix that lie so many rows of a panel apart are packed: they would compete for an eighth of the L1
 * cache. */
enum { FAR_APART = 8 };

/* Rows that are whole vectors of 64 bytes are read without crossing a line of the cache. Shorter vectors are loaded
 * more often beside each multiplication: so many rows are worth a copy that crosses none. */
enum { ROWS_WORTH_ALIGNING = 64 };

/* A C of this size lies beyond the L2 cache: each store of a tile would wait for its line. */
enum { FAR_BYTES = 512 * 1024 };

/* Rows of C that are completed together: whole tiles of nearly every height there is, and with a panel's columns a good
 * part of the L1 cache. */
enum { GROUP_ROWS = 60 };

/* Rows of C that one part of the depth passes on to the next: few, so that these begin early. */
enum { PASSED_ROWS = 12, MOST_PARTS = 16 };

/* How far a part has come; a thread writes to it while others look. */
typedef struct {
    atomic_size_t groups;
    char apart[120];
} part_done;

/* A product cut into tasks: panels of columns, and where they are too few or uneven for the threads, parts of the rows;
 * or parts of the depth, each of which takes up C where the part before leaves it, group by group. */
typedef struct {
    const mlp_product *p;
    mlp_team *team;
    size_t n_threads;
    size_t panels; /* tasks that share a part of the rows */
    size_t rows;   /* of such a part */
    size_t depth;  /* that is taken at a time */
    size_t part;   /* of the depth, where threads share it */
    bool packs;    /* the right operand; else only where it could not be read to a whole vector */
    atomic_bool stop;
    part_done *parts;
} cut_product;

/* Rows q..q+k of the right operand's columns j..j+columns, and how far they lie apart. */
static const void *right_operand(const cut_product *c, size_t thread, size_t j, size_t columns, size_t q, size_t k,
                                 size_t *ld) {
    const mlp_product *p = c->p;
    const mlp_kernels *kernels = p->kernels;
    const void *right = (const char *)p->b.data + (p->b.transposed ? j * p->b.ld + q : q * p->b.ld + j) * kernels->item;
    bool whole = (columns & (kernels->lanes - 1)) == 0;
    *ld = p->b.ld;
    if (!c->packs && (whole || p->b.padded)) {
        return right;
    }
    void *panel = (char *)c->team->panels + thread * c->team->panel_bytes;
    (p->b.transposed ? kernels->pack_transposed : kernels->pack)(panel, right, *ld, k, columns);
    *ld = kernels->panel;
    return panel;
}

/* C's rows i..i+n, columns j..j+columns, by the depth from q to q+k; ahead: see kernels.h. */
static void multiply_group(const cut_product *c, size_t i, size_t n, size_t j, size_t columns, size_t q, size_t k,
                           const void *right, size_t ld, const void *ahead) {
    const mlp_product *p = c->p;
    const mlp_kernels *kernels = p->kernels;
    size_t item = kernels->item, at = i * p->ldc + j;
    mlp_panel_product part = {.a = (const char *)p->a.data + (i * p->a.row + q * p->a.step) * item,
                              .b = right,
                              .a_row = p->a.row,
                              .a_k = p->a.step,
                              .ldb = ld,
                              .m = n,
                              .n = columns,
                              .k = k};
    if (p->adam != NULL) {
        mlp_adam to = *p->adam;
        to.p = (char *)to.p + at * item;
        to.m = (char *)to.m + at * item;
        to.v = (char *)to.v + at * item;
        kernels->product_adam(&part, &to);
        return;
    }
    part.c = (char *)p->c + at * item;
    part.ldc = p->ldc;
    part.n = p->padded ? (columns + kernels->edge - 1) & ~(kernels->edge - 1) : columns;
    part.accumulate = p->accumulate || q > 0;
    part.far = p->m * p->ldc * item >= FAR_BYTES;
    part.ahead = ahead;
    if (p->operand != NULL && q + k == p->k) {
        part.ending = p->ending;
        part.operand = (const char *)p->operand + (p->ending == MLP_RELU_SLOPE ? at : j) * item;
    }
    kernels->product(&part);
}

static bool stopped(cut_product *c) { return atomic_load_explicit(&c->stop, memory_order_relaxed); }

/* After so many products of two numbers, while the other threads have made as many. */
static void look_up(cut_product *c, size_t thread, size_t products) {
    if (thread == 0 && mlp_pause(c->team->call, 2.0 * (double)products * (double)c->n_threads)) {
        atomic_store_explicit(&c->stop, true, memory_order_relaxed);
    }
}

/* C's rows i..i+rows, and the panel of columns from j on. */
static void multiply_panel(cut_product *c, size_t thread, size_t i, size_t rows, size_t j) {
    const mlp_product *p = c->p;
    size_t width = p->kernels->panel, columns = p->n - j < width ? p->n - j : width;
    for (size_t q = 0; q < p->k; q += c->depth) { /* C takes up its chains where the last part of k left them */
        size_t k = p->k - q < c->depth ? p->k - q : c->depth, ld;
        const void *right = right_operand(c, thread, j, columns, q, k, &ld);
        /* What follows the last part is done group by group, while the group is still in the L1 cache. */
        bool last = p->done != NULL && q + k == p->k;
        bool fetch = p->next != NULL && q == 0 && j + width >= p->n;
        size_t group = last && p->adam == NULL ? GROUP_ROWS : rows;
        for (size_t g = 0, n; g < rows; g += n) {
            n = rows - g >= 3 * group / 2 ? group : rows - g;
            const void *ahead = fetch ? (const char *)p->next + (i + g) * p->a.row * p->kernels->item : NULL;
            multiply_group(c, i + g, n, j, columns, q, k, right, ld, ahead);
            if (last) {
                p->done(p->context, i + g, n, j, columns);
            }
            look_up(c, thread, n * columns * k);
            if (stopped(c)) {
                return;
            }
        }
    }
}

static void run_task(void *context, size_t t, size_t thread) {
    cut_product *c = context;
    size_t i = t / c->panels * c->rows, rows = c->p->m - i < c->rows ? c->p->m - i : c->rows;
    if (!stopped(c)) {
        multiply_panel(c, thread, i, rows, t % c->panels * c->p->kernels->panel);
    }
}

/* Part t of the depth, for all of C. The parts before it are other threads' business, or done by this one. */
static void run_part(void *context, size_t t, size_t thread) {
    cut_product *c = context;
    const mlp_product *p = c->p;
    size_t width = p->kernels->panel, begin = t * c->part, end = p->k - begin < c->part ? p->k : begin + c->part;
    size_t awaited = 0;
    for (size_t j = 0; j < p->n; j += width) {
        size_t columns = p->n - j < width ? p->n - j : width;
        for (size_t q = begin; q < end; q += c->depth) {
            size_t k = end - q < c->depth ? end - q : c->depth, ld;
            const void *right = right_operand(c, thread, j, columns, q, k, &ld);
            for (size_t i = 0; i < p->m; i += PASSED_ROWS) {
                size_t n = p->m - i < PASSED_ROWS ? p->m - i : PASSED_ROWS;
                if (t > 0 && q == begin) {
                    mlp_await(&c->parts[t - 1].groups, ++awaited, &c->stop);
                }
                if (stopped(c)) {
                    return;
                }
                multiply_group(c, i, n, j, columns, q, k, right, ld, NULL);
                if (q + k == p->k && p->done != NULL) {
                    p->done(p->context, i, n, j, columns);
                }
                if (q + k == end) {
                    atomic_fetch_add_explicit(&c->parts[t].groups, 1, memory_order_release);
                }
            }
        }
    }
    look_up(c, thread, p->m * p->n * (end - begin));
}

/* Whether threads should share the depth: C must have groups enough to be passed on, and be small beside the weights
 * that stay where they are: what passes from core to core costs more than it seems to. */
static bool share_depth(const cut_product *c) {
    size_t n_groups = c->panels * ((c->p->m + PASSED_ROWS - 1) / PASSED_ROWS);
    return c->p->by_depth && c->p->k >= 8 * c->p->m && c->n_threads <= MOST_PARTS && n_groups >= 2 * c->n_threads;
}

static void multiply_together(cut_product *c) {
    const mlp_product *p = c->p;
    size_t width = p->kernels->panel, n_threads = c->n_threads;
    part_done parts[MOST_PARTS];
    mlp_task task = run_task;
    c->panels = (p->n + width - 1) / width;
    size_t n_tasks = c->panels;
    if (c->panels < 8 * n_threads) {
        bool by_panels = c->panels % n_threads == 0 && p->n % width == 0 && !p->by_rows;
        if (share_depth(c)) {
            task = run_part;
            c->part = (p->k + n_threads - 1) / n_threads;
            c->parts = parts;
            n_tasks = (p->k + c->part - 1) / c->part;
            for (size_t t = 0; t < n_tasks; t++) {
                atomic_init(&parts[t].groups, 0);
            }
        } else if (!by_panels) {
            c->rows = (p->m + n_threads - 1) / n_threads;
            n_tasks = c->panels * ((p->m + c->rows - 1) / c->rows);
        }
    }
    mlp_parallel(c->team->call->pool, n_threads, n_tasks, task, c);
}

bool mlp_multiply(const mlp_product *p, mlp_team *team) {
    const mlp_kernels *kernels = p->kernels;
    double work = 2.0 * (double)p->m * (double)p->n * (double)p->k;
    size_t n_threads = team->n_threads > 1 ? mlp_threads_for(team->call, work) : 1;
    size_t part = n_threads > 1 ? p->m / n_threads : p->m;
    size_t apart = p->b.ld * kernels->item, vector = kernels->lanes * kernels->item;
    bool far_apart = apart >= FAR_APART * kernels->panel * kernels->item && part >= MLP_FEW_ROWS;
    bool crossing = vector < MLP_VECTOR_BYTES && apart % vector != 0 && part >= ROWS_WORTH_ALIGNING;
    cut_product c = {.p = p,
                     .team = team,
                     .n_threads = n_threads,
                     .rows = p->m,
                     .depth = p->a.step > 1 ? kernels->depth_across : kernels->depth,
                     .packs = p->b.transposed || far_apart || crossing};
    if (n_threads > 1) {
        multiply_together(&c);
    } else {
        for (size_t j = 0; j < p->n && !stopped(&c); j += kernels->panel) {
            multiply_panel(&c, 0, 0, p->m, j);
        }
    }
    return !stopped(&c);
}
