/* matmul.c: the loops around the matrix kernel: panels of the right operand, packed where reading them in place would be
 * slow or out of bounds. */
#include "core.h"

#include <stdatomic.h>

/* Rows of a matrix further apart than this are packed: a panel's lines would compete for a few sets of the L1 cache. */
enum { FAR_APART_BYTES = 2048 };

/* Rows that are whole vectors of 64 bytes are read without crossing a line of the cache. Shorter vectors are loaded more
 * often beside each multiplication: so many rows are worth a copy that crosses none. */
enum { ROWS_WORTH_ALIGNING = 64 };

/* Rows of C that are completed together: whole tiles of every height there is, and with a panel's columns a good part of
 * the L1 cache. */
enum { GROUP_ROWS = 60 };

/* A product cut into tasks: panels of columns, and where they are too few or uneven for the threads, parts of the rows. */
typedef struct {
    const mlp_product *p;
    mlp_team *team;
    size_t cuts, rows; /* parts of a panel, side by side in time: they write to other lines; rows of a part */
    bool packs;        /* the right operand; else only where it could not be read to a whole vector */
    double work;       /* of a task */
    atomic_bool stop;
} cut_product;

static void run_task(void *context, size_t t, size_t thread) {
    cut_product *c = context;
    const mlp_product *p = c->p;
    const mlp_kernels *kernels = p->kernels;
    if (atomic_load_explicit(&c->stop, memory_order_relaxed)) {
        return;
    }
    size_t item = kernels->item, width = kernels->panel, j = t / c->cuts * width, i = t % c->cuts * c->rows;
    size_t columns = p->n - j < width ? p->n - j : width, rows = p->m - i < c->rows ? p->m - i : c->rows;
    bool whole = columns % kernels->lanes == 0;
    size_t written = p->padded ? (columns + kernels->edge - 1) / kernels->edge * kernels->edge : columns;
    bool pack = c->packs || !(whole || p->b.padded);
    size_t depth = MLP_PANEL_BYTES / (width * item);
    for (size_t q = 0; q < p->k; q += depth) { /* C takes up its chains where the last part of k left them */
        size_t k = p->k - q < depth ? p->k - q : depth, ld = p->b.ld;
        const void *right = (const char *)p->b.data + (p->b.transposed ? j * ld + q : q * ld + j) * item;
        if (pack) {
            void *panel = (char *)c->team->panels + thread * c->team->panel_bytes;
            (p->b.transposed ? kernels->pack_transposed : kernels->pack)(panel, right, ld, k, columns);
            right = panel;
            ld = width;
        }
        /* What follows the last part is done group by group, while the group is still in the L1 cache. */
        bool last = p->done != NULL && q + k == p->k;
        size_t group = last && p->adam == NULL ? GROUP_ROWS : rows;
        for (size_t g = 0, n; g < rows; g += n) {
            n = rows - g >= 3 * group / 2 ? group : rows - g;
            const void *left = (const char *)p->a.data + ((i + g) * p->a.row + q * p->a.step) * item;
            size_t at = (i + g) * p->ldc + j;
            if (p->adam != NULL) {
                mlp_adam to = *p->adam;
                to.p = (char *)to.p + at * item;
                to.m = (char *)to.m + at * item;
                to.v = (char *)to.v + at * item;
                kernels->product_adam(&to, left, p->a.row, p->a.step, right, ld, n, columns, k);
            } else {
                bool fetch = p->next != NULL && q == 0 && j + width >= p->n;
                const void *ahead = fetch ? (const char *)p->next + (i + g) * p->a.row * item : NULL;
                kernels->product((char *)p->c + at * item, p->ldc, left, p->a.row, p->a.step, right, ld, n, written, k,
                                 p->accumulate || q > 0, ahead);
            }
            if (last) {
                p->done(p->context, i + g, n, j, columns);
            }
        }
    }
    if (thread == 0 && mlp_pause(c->team->call, c->work)) {
        atomic_store_explicit(&c->stop, true, memory_order_relaxed);
    }
}

bool mlp_multiply(const mlp_product *p, mlp_team *team) {
    size_t width = p->kernels->panel, n_panels = (p->n + width - 1) / width, cuts = 1;
    double work = 2.0 * (double)p->m * (double)p->n * (double)p->k;
    size_t n_threads = team->n_threads > 1 ? mlp_threads_for(team->call, work) : 1;
    /* Weights and their means are updated by rows: of every other panel, a core would fetch what another writes. */
    bool by_panels = n_panels % n_threads == 0 && p->n % width == 0 && p->adam == NULL;
    if (n_threads > 1 && !by_panels && n_panels < 8 * n_threads) {
        cuts = n_threads;
    }
    size_t rows = (p->m + cuts - 1) / cuts;
    cuts = (p->m + rows - 1) / rows;
    size_t apart = p->b.ld * p->kernels->item, vector = p->kernels->lanes * p->kernels->item;
    bool far_apart = apart >= FAR_APART_BYTES && rows >= MLP_FEW_ROWS;
    bool crossing = vector < MLP_VECTOR_BYTES && apart % vector != 0 && rows >= ROWS_WORTH_ALIGNING;
    size_t n_tasks = n_panels * cuts;
    cut_product c = {.p = p,
                     .team = team,
                     .cuts = cuts,
                     .rows = rows,
                     .packs = p->b.transposed || far_apart || crossing,
                     .work = work / (double)n_tasks * (double)n_threads};
    mlp_parallel(team->call->pool, n_threads, n_tasks, run_task, &c);
    return !atomic_load_explicit(&c.stop, memory_order_relaxed);
}
