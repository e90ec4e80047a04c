/* matmul.c: the loops around the matrix kernel: panels of the right operand, packed where reading them in place would
 * be slow or out of bounds. */
#include "matmul.h"

#include <stdatomic.h>

/* B's rows are packed where they lie so many rows of a panel apart: they would compete for an eighth of L1. Where a
 * page has several, that takes more rows of A to pay. */
enum { FAR_APART = 8 };

/* Many rows of A are worth a copy of B that is read faster. Vectors shorter than a line of the cache, which are loaded
 * more often beside each multiplication, cross none in it. A small tile, which uses little of what it loads, finds rows
 * there that do not compete for a part of L1, where B's own are too many for it; few rows of A take fewer of those at a
 * time. */
enum { MANY_ROWS = 64, APART = 2, L1_BYTES = 32 * 1024 };

/* What is done with a C that is not kept, Adam's step or other, is done once: a block's samples are one part of the
 * depth. Pieces that have all rows of it are groups. */
_Static_assert(MLP_BLOCK_ROWS <= MLP_PANEL_DEPTH, "a block is deeper than a panel");
_Static_assert(MLP_TURNED_UNITS < 3 * MLP_GROUP_ROWS / 2 && MLP_TURNED_UNITS <= MLP_PIECE_ROWS, "more than a group");

/* A matrix of this size lies beyond the L2 cache: each store of a tile of C would wait for its line, as would Adam's
 * step of one, and each column of A where these lie apart. */
enum { FAR_BYTES = 512 * 1024 };

/* Rows of C between two looks at the caller, where nothing follows them. */
enum { LONG_GROUP = 1024 };

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
    size_t n_panels; /* of columns */
    size_t rows;     /* of a task */
    size_t depth;    /* that is taken at a time */
    size_t part;     /* of the depth, where threads share it */
    bool packs;      /* the right operand; else only where it could not be read to a whole vector */
    part_done *parts;
    mlp_watch watch;
} cut_product;

/* Where panel t begins; n for the one after the last. A last one of a single vector would read A once more for little:
 * it takes another vector from the panel before. */
static size_t panel_at(const cut_product *c, size_t t) {
    size_t n = c->p->n, lanes = c->p->kernels->lanes, at = t * c->p->kernels->panel;
    return at >= n ? n : t > 0 && n - at <= lanes ? at - lanes : at;
}

/* Rows q..q+k of the right operand's columns j..j+columns, as they are read: in place, or from a thread's copy. */
typedef struct {
    size_t j, columns, q, k;
    const void *at;
    size_t ld;
    void *copy;      /* where the first rows of the left operand leave a copy for the others; or NULL */
    mlp_region next; /* what is copied after them */
} right_part;

/* Of panel t and the rows from q to `end`, those that are taken together. */
static right_part part_at(const cut_product *c, size_t t, size_t q, size_t end) {
    const mlp_product *p = c->p;
    size_t j = panel_at(c, t);
    const char *at = (const char *)p->b.data + (p->b.transposed ? j * p->b.ld + q : q * p->b.ld + j) * p->kernels->item;
    return (right_part){
        .j = j, .columns = panel_at(c, t + 1) - j, .q = q, .k = mlp_min(end - q, c->depth), .at = at, .ld = p->b.ld};
}

/* So many elements in each of `rows` rows, about: rows that do not begin with a line may end in another one. */
static mlp_region region_of(const mlp_product *p, const void *at, size_t rows, size_t ld, size_t elements) {
    size_t line = MLP_VECTOR_BYTES / p->kernels->item;
    return (mlp_region){.at = at, .rows = rows, .ld = ld, .lines = (elements + line - 1) / line * rows};
}

static void *panel_of(const cut_product *c, size_t thread) {
    return (char *)c->team->panels + thread * c->team->thread_bytes;
}

/* Of panel t and its rows from `begin` to `end`, the part from q on, for so many rows of C: copied where it would be
 * slow or out of bounds to read it in place, before it is used or by the way. What is copied next, of this panel or
 * the one after it, is worth fetching, except where it is transposed: there the machine itself sees what comes next
 * in its long rows. */
static right_part take_part(const cut_product *c, size_t thread, size_t t, size_t q, size_t begin, size_t end,
                            size_t rows) {
    const mlp_kernels *kernels = c->p->kernels;
    right_part right = part_at(c, t, q, end);
    bool transposed = c->p->b.transposed, whole = (right.columns & (kernels->lanes - 1)) == 0;
    if (!c->packs && (whole || c->p->b.padded)) {
        return right;
    }
    void *panel = panel_of(c, thread);
    if (!transposed && right.columns == kernels->panel && rows >= MLP_FEW_ROWS && c->p->adam == NULL) {
        right.copy = panel;
    } else {
        (transposed ? kernels->pack_transposed : kernels->pack)(panel, right.at, right.ld, right.k, right.columns);
        right.at = panel;
        right.ld = kernels->panel;
    }
    bool ends = q + right.k == end;
    if (c->packs && !transposed && t + ends < c->n_panels) {
        right_part next = part_at(c, t + ends, ends ? begin : q + right.k, end);
        right.next = region_of(c->p, next.at, next.k, next.ld, next.columns);
    }
    return right;
}

/* What is fetched beside C's rows i..i+n: the lines after those that are read now of an A whose columns lie apart, if
 * it is large or comes from another core; the rows that follow A's, beside its last pass; or else as much of what is
 * copied next. */
static void fetch_ahead(mlp_panel_product *part, const cut_product *c, const right_part *right, size_t i) {
    const mlp_product *p = c->p;
    size_t item = p->kernels->item, line = MLP_VECTOR_BYTES / item, n = part->m;
    if (p->a.step > 1 && (p->passed || p->k * p->a.step * item >= FAR_BYTES)) {
        part->ahead = region_of(p, (const char *)part->a + MLP_VECTOR_BYTES, part->k, p->a.step, n);
    } else if (p->next != NULL && right->q + right->k == p->k && right->j + right->columns == p->n) {
        part->ahead =
            region_of(p, (const char *)p->next + i * p->next_row, n * p->next_row / MLP_VECTOR_BYTES, line, line);
    } else if (right->next.lines > 0) {
        size_t lines = right->next.lines, begin = i % c->rows;
        part->ahead = right->next;
        part->ahead.first = lines * begin / c->rows;
        part->ahead.lines = lines * (begin + n) / c->rows - part->ahead.first;
    }
}

/* C's rows i..i+n and a part of the right operand: into C, or into `tile` where C is not kept. */
static void multiply_group(const cut_product *c, size_t i, size_t n, right_part *right, void *tile) {
    const mlp_product *p = c->p;
    const mlp_kernels *kernels = p->kernels;
    size_t item = kernels->item, at = i * p->ldc + right->j;
    mlp_panel_product part = {.a = (const char *)p->a.data + (i * p->a.row + right->q * p->a.step) * item,
                              .b = right->at,
                              .a_row = p->a.row,
                              .a_k = p->a.step,
                              .ldb = right->ld,
                              .m = n,
                              .n = right->columns,
                              .k = right->k};
    part.far = tile == NULL && p->m * p->ldc * item >= FAR_BYTES;
    if (p->adam != NULL) {
        mlp_adam to = *p->adam;
        to.p = (char *)to.p + at * item;
        to.m = (char *)to.m + at * item;
        to.v = (char *)to.v + at * item;
        kernels->product_adam(&part, &to);
        return;
    }
    part.c = tile != NULL ? tile : (char *)p->c + at * item;
    part.ldc = tile != NULL ? kernels->panel : p->ldc;
    part.n = p->padded || tile != NULL ? (part.n + kernels->edge - 1) & ~(kernels->edge - 1) : part.n;
    part.accumulate = p->accumulate || right->q > 0;
    fetch_ahead(&part, c, right, i);
    if (p->operand != NULL && right->q + right->k == p->k) {
        part.ending = p->ending;
        part.operand = (const char *)p->operand + (p->ending == MLP_RELU_SLOPE ? at : right->j) * item;
    }
    part.copy = right->copy;
    kernels->product(&part);
    if (right->copy != NULL) {
        right->at = right->copy;
        right->ld = kernels->panel;
        right->copy = NULL;
    }
}

bool mlp_is_stopped(mlp_watch *watch) { return atomic_load_explicit(&watch->stop, memory_order_relaxed); }

void mlp_look_up(mlp_watch *watch, size_t thread, double work) {
    if (thread == 0 && mlp_pause(watch->call, work * (double)watch->n_threads)) {
        atomic_store_explicit(&watch->stop, true, memory_order_relaxed);
    }
}

static bool stopped(cut_product *c) { return mlp_is_stopped(&c->watch); }

/* After so many products of two numbers. */
static void look_up(cut_product *c, size_t thread, size_t products) {
    mlp_look_up(&c->watch, thread, 2.0 * (double)products);
}

static void piece_done(const cut_product *c, size_t i, size_t n, const right_part *right, const void *tile) {
    const mlp_product *p = c->p;
    p->done(p->context, &(mlp_piece){.row = i,
                                     .n_rows = n,
                                     .column = right->j,
                                     .n_columns = right->columns,
                                     .c = tile,
                                     .ldc = p->kernels->panel});
}

/* C's rows i..i+rows, and one panel of its columns. */
static void multiply_panel(cut_product *c, size_t thread, size_t i, size_t rows, size_t panel) {
    const mlp_product *p = c->p;
    void *tile = p->c == NULL ? (char *)panel_of(c, thread) + c->team->panel_bytes : NULL;
    /* The first panel may be what the system gives the pages of C for, which may take longer than the products. */
    size_t given = panel == 0 && tile == NULL && !p->accumulate ? p->ldc : 0;
    for (size_t q = 0; q < p->k; q += c->depth) { /* C takes up its chains where the last part of k left them */
        right_part right = take_part(c, thread, panel, q, 0, p->k, rows);
        /* What follows the last part is done group by group, while the group is still in the L1 cache. */
        bool last = p->done != NULL && q + right.k == p->k;
        size_t group = last ? MLP_GROUP_ROWS : LONG_GROUP;
        for (size_t g = 0, n; g < rows; g += n) {
            n = rows - g >= 3 * group / 2 ? group : rows - g;
            multiply_group(c, i + g, n, &right, tile);
            if (last) {
                piece_done(c, i + g, n, &right, tile);
            }
            look_up(c, thread, n * (right.columns * right.k + given));
            if (stopped(c)) {
                return;
            }
        }
    }
}

static void run_panel(void *context, size_t t, size_t thread) {
    cut_product *c = context;
    size_t i = t / c->n_panels * c->rows, rows = mlp_min(c->p->m - i, c->rows);
    if (!stopped(c)) {
        multiply_panel(c, thread, i, rows, t % c->n_panels);
    }
}

/* Part t of the rows, all of it: panel by panel, a thread that took one over would draw these rows to its own core. */
static void run_rows(void *context, size_t t, size_t thread) {
    cut_product *c = context;
    for (size_t panel = 0; panel < c->n_panels; panel++) {
        run_panel(c, t * c->n_panels + panel, thread);
    }
}

/* Part t of the depth, for all of C. The parts before it are other threads' business, or done by this one. */
static void run_part(void *context, size_t t, size_t thread) {
    cut_product *c = context;
    const mlp_product *p = c->p;
    size_t begin = t * c->part, end = mlp_min(p->k, begin + c->part);
    size_t awaited = 0;
    for (size_t panel = 0; panel < c->n_panels; panel++) {
        for (size_t q = begin; q < end; q += c->depth) {
            right_part right = take_part(c, thread, panel, q, begin, end, p->m);
            bool ends = q + right.k == end;
            for (size_t i = 0; i < p->m; i += PASSED_ROWS) {
                size_t n = mlp_min(p->m - i, PASSED_ROWS);
                if (t > 0 && q == begin) {
                    mlp_await(&c->parts[t - 1].groups, ++awaited, &c->watch.stop);
                }
                if (stopped(c)) {
                    return;
                }
                multiply_group(c, i, n, &right, NULL);
                if (end == p->k && ends && p->done != NULL) {
                    piece_done(c, i, n, &right, NULL);
                }
                if (ends) {
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
    size_t n_groups = c->n_panels * ((c->p->m + PASSED_ROWS - 1) / PASSED_ROWS);
    return c->p->keeps_depth && mlp_is_deep(c->p->k, c->p->m) && c->watch.n_threads <= MOST_PARTS &&
           n_groups >= 2 * c->watch.n_threads;
}

static void multiply_together(cut_product *c, double work) {
    const mlp_product *p = c->p;
    size_t n_threads = c->watch.n_threads, n_tasks = c->n_panels;
    part_done parts[MOST_PARTS];
    mlp_task task = run_panel;
    if (c->n_panels < 8 * n_threads) {
        bool even = c->n_panels % n_threads == 0 && p->n % p->kernels->panel == 0;
        bool by_panels = p->keeps_columns || (even && !p->keeps_rows);
        if (share_depth(c)) {
            task = run_part;
            c->depth = MLP_PANEL_DEPTH; /* a group that is complete early can be passed on */
            c->part = (p->k + n_threads - 1) / n_threads;
            c->parts = parts;
            n_tasks = (p->k + c->part - 1) / c->part;
            for (size_t t = 0; t < n_tasks; t++) {
                atomic_init(&parts[t].groups, 0);
            }
        } else if (!by_panels) {
            c->rows = (p->m + n_threads - 1) / n_threads;
            if (p->c == NULL) {
                size_t vector = MLP_VECTOR_BYTES / p->kernels->item;
                c->rows = (c->rows + vector - 1) & ~(vector - 1);
            }
            size_t n_parts = (p->m + c->rows - 1) / c->rows;
            task = p->keeps_rows ? run_rows : run_panel;
            n_tasks = p->keeps_rows ? n_parts : c->n_panels * n_parts;
        }
    }
    mlp_share(c->team->call, n_threads, work, n_tasks, task, c);
}

bool mlp_share_watched(mlp_team *team, mlp_watch *watch, double work, size_t n_tasks, mlp_task task, void *context) {
    watch->call = team->call;
    watch->n_threads = mlp_team_threads(team, work);
    atomic_init(&watch->stop, false);
    mlp_share(team->call, watch->n_threads, work, n_tasks, task, context);
    return !mlp_is_stopped(watch);
}

bool mlp_multiply(const mlp_product *p, mlp_team *team) {
    const mlp_kernels *kernels = p->kernels;
    double work = 2.0 * (double)p->m * (double)p->n * (double)p->k;
    size_t n_threads = mlp_team_threads(team, work);
    size_t part = n_threads > 1 && !p->keeps_columns ? p->m / n_threads : p->m;
    size_t apart = p->b.ld * kernels->item, vector = kernels->lanes * kernels->item;
    size_t panel_row = kernels->panel * kernels->item;
    bool far_apart = apart >= FAR_APART * panel_row && part >= (apart > MLP_PAGE ? MLP_FEW_ROWS : MANY_ROWS + 1);
    bool crossing = vector < MLP_VECTOR_BYTES && apart % vector != 0;
    bool spread = kernels->near_depth < MLP_PANEL_DEPTH && apart >= APART * panel_row && p->k * apart > L1_BYTES;
    bool many = part >= MANY_ROWS, whole = p->adam != NULL || p->c == NULL; /* the depth, in one part */
    bool near = !whole && (p->a.step > 1 || (spread && !many));
    cut_product c = {.p = p,
                     .team = team,
                     .watch = {.call = team->call, .n_threads = n_threads},
                     .n_panels = (p->n + kernels->panel - 1) / kernels->panel,
                     .rows = p->m,
                     .depth = near ? kernels->near_depth : MLP_PANEL_DEPTH,
                     .packs = p->b.transposed || far_apart || (many && (crossing || spread))};
    if (n_threads > 1) {
        multiply_together(&c, work);
    } else {
        for (size_t panel = 0; panel < c.n_panels && !stopped(&c); panel++) {
            multiply_panel(&c, 0, 0, p->m, panel);
        }
    }
    return !stopped(&c);
}
