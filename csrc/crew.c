/* crew.c: the scratch of a call, one pass for each thread that computes by itself, and how many those are. */
#include "pass.h"

#include <stdlib.h>

/* ---- What a pass computes in. */

/* What a pass is made for. */
typedef struct {
    size_t n_rows, chunk; /* of which so many are one chunk */
    bool gradient, input_gradient, losses, dropout;
    size_t n_threads; /* that share its products */
    bool by_parts;    /* derivatives of all layers are needed together */
} demands;

/* Elements of a block of layer l in either layout. */
static size_t block_size(const mlp_pass *pass, size_t l, size_t n_rows) {
    size_t rows = mlp_min(n_rows, pass->plan.block);
    return pass->plan.lanes ? pass->net->layers[l].n_out * pass->plan.block : pass->net->layers[l].ld * rows;
}

static void cut_layers(mlp_pass *pass, mlp_cutter *c, const demands *d) {
    const mlp_network *net = pass->net;
    for (size_t l = 0; l <= net->n_layers; l++) {
        size_t bytes = block_size(pass, l, d->n_rows) * net->item;
        pass->a[l] = mlp_cut(c, bytes);
        bool hidden = l > 0 && l < net->n_layers;
        if ((hidden || (l > 0 && pass->plan.by_rows)) && d->gradient &&
            mlp_has_derivative_from_input(net->layers[l].activation)) {
            pass->d[l] = mlp_cut(c, bytes);
        }
        if (hidden && d->dropout && net->layers[l].dropout > 0) {
            pass->mask[l] = mlp_cut(c, bytes);
            pass->dropped[l] = mlp_cut(c, bytes);
        }
    }
}

static void cut_losses(mlp_pass *pass, mlp_cutter *c) {
    const mlp_network *net = pass->net;
    size_t item = net->item, block = pass->plan.block, outputs = mlp_outputs(net);
    if (pass->plan.by_rows) {
        pass->loss_parameters = mlp_cut(c, mlp_whole_vectors(net, outputs) * item);
    } else {
        pass->d_out = mlp_cut(c, outputs * block * item);
        pass->y = mlp_cut(c, outputs * block * item);
    }
    pass->targets = mlp_cut(c, outputs * block * sizeof(double));
    pass->losses = mlp_cut(c, block * sizeof(double));
    pass->weights = mlp_cut(c, block * sizeof(double));
    pass->scale = mlp_cut(c, block * item);
}

/* Few rows of a prediction are multiplied by weights where they lie: see matmul.c. */
static size_t size_of_panels(const mlp_pass *pass, const demands *d) {
    bool in_place = pass->plan.lanes || (!d->losses && d->n_rows < MLP_FEW_ROWS);
    return in_place ? 0 : d->n_threads * pass->team.thread_bytes;
}

/* dZ of each layer, and dA of the inputs: parts need them all at a time, else every other one lies where the first did.
 * Where the last one's is wanted in lanes layout alone, it is dz_out. */
static void cut_derivatives(mlp_pass *pass, mlp_cutter *c, const demands *d) {
    const mlp_network *net = pass->net;
    size_t last = net->n_layers;
    bool in_lanes = pass->plan.lanes || pass->plan.single;
    for (size_t l = 0; l <= last; l++) {
        if (l == last && in_lanes) {
            pass->dz[l] = pass->dz_out;
        } else if (l > 1 && !d->by_parts) {
            pass->dz[l] = pass->dz[l - 2];
        } else {
            size_t largest = l > 0 || d->input_gradient ? block_size(pass, l, d->n_rows) : 0;
            for (size_t above = l + 2; above <= last && !d->by_parts; above += 2) {
                largest = mlp_max(largest, block_size(pass, above, d->n_rows));
            }
            pass->dz[l] = mlp_cut(c, largest * net->item);
        }
    }
}

/* What counts of it is written before it is read. Without `tiles`: what parts of a block do not have from all of it. */
static void cut_all(mlp_pass *pass, mlp_cutter *c, const demands *d, bool tiles) {
    const mlp_network *net = pass->net;
    size_t item = net->item, block = pass->plan.block, width = net->widest, outputs = mlp_outputs(net);
    if (tiles) {
        cut_layers(pass, c, d);
    }
    if (d->gradient) {
        pass->dz_out = pass->plan.by_rows ? NULL : mlp_cut(c, outputs * block * item);
        if (pass->plan.lanes) {
            pass->sums = mlp_cut(c, mlp_whole_vectors(net, net->n_parameters) * MLP_VECTOR_BYTES);
        }
        if (d->n_rows > d->chunk) {
            pass->partial = mlp_cut(c, net->n_parameters * item);
        }
        if (tiles) {
            cut_derivatives(pass, c, d);
        }
    }
    pass->padded = mlp_cut(c, width * item);
    size_t columns = 0, rows = pass->plan.by_rows ? 0 : outputs; /* the largest there are */
    for (size_t l = 1; l <= net->n_layers; l++) {
        const mlp_layer *layer = &net->layers[l];
        if (mlp_is_of_dots(net, &pass->plan, l)) {
            size_t of_layer = layer->n_out > 1 ? layer->n_out * mlp_whole_vectors(net, layer->n_in) : 0;
            columns = mlp_max(of_layer, columns);
            rows = mlp_max(layer->n_out, rows);
        }
    }
    pass->columns = columns == 0 ? NULL : mlp_cut(c, columns * item);
    pass->z = rows == 0 ? NULL : mlp_cut(c, rows * block * item);
    if (d->losses) {
        cut_losses(pass, c);
    }
    pass->cells = mlp_cut(c, mlp_inputs(net) * sizeof(double));
    pass->team.panels = mlp_cut(c, size_of_panels(pass, d));
}

static size_t pass_size(const mlp_network *net) { return sizeof(mlp_pass) + 5 * (net->n_layers + 1) * sizeof(void *); }

/* In `at`, so far without scratch. */
static void begin_pass(mlp_pass *at, const mlp_network *net, const mlp_plan *plan, const demands *d, mlp_call *call) {
    size_t layers = net->n_layers + 1;
    /* The right operand is W, or on the way back dZ or A. */
    size_t deepest = d->gradient && plan->block > net->widest ? plan->block : net->widest;
    size_t depth = mlp_min(deepest, MLP_PANEL_DEPTH);
    void **pointers = (void **)(at + 1);
    memset(at, 0, pass_size(net));
    at->net = net;
    at->parameters = net->parameters;
    at->plan = *plan;
    bool turns = false;
    for (size_t l = 1; l <= net->n_layers && d->gradient; l++) { /* each of the rows that speak most for it */
        const mlp_layer *layer = &net->layers[l];
        bool turns_da = mlp_turns_da(net, layer, MLP_VECTOR_BYTES / net->item);
        bool turns_dw = !(plan->single && l == net->n_layers) && mlp_turns_dw(net, layer, plan->block);
        turns = turns || turns_da || turns_dw;
    }
    size_t row = net->kernels->panel * net->item, panel = depth * row;
    at->team = (mlp_team){.call = call,
                          .n_threads = d->n_threads,
                          .panel_bytes = panel,
                          .thread_bytes = panel + (turns ? MLP_PIECE_ROWS * row : 0)};
    at->a = pointers;
    at->d = pointers + layers;
    at->mask = pointers + 2 * layers;
    at->dropped = pointers + 3 * layers;
    at->dz = pointers + 4 * layers;
}

/* The loss's parameters, whose padding must do no harm to the sums of a row. */
static void set_loss_parameters(const mlp_pass *pass) {
    const mlp_network *net = pass->net;
    size_t outputs = mlp_outputs(net);
    if (pass->loss_parameters != NULL) {
        memset(pass->loss_parameters, 0, mlp_whole_vectors(net, outputs) * net->item);
        for (size_t k = 0; k < outputs; k++) {
            net->kernels->fill(mlp_at(net, pass->loss_parameters, k), net->loss_parameters[k], 1);
        }
    }
}

/* ---- Where that lies: in the room that a small call has on its stack, or in a block of the call's shelf, where it
 * is left for the next one: blocks taken from the system anew cost more to touch than some calls to compute. */

/* Larger ones are not kept, nor cleared: most of one may never be touched, as inputs are read in place. */
enum { SHELF_BYTES = 1 << 22 };

typedef struct {
    size_t bytes; /* that follow */
    _Alignas(MLP_VECTOR_BYTES) char at[];
} scratch_block;

static scratch_block *take_block(mlp_shelf *shelf, size_t bytes) {
    scratch_block *block = shelf == NULL ? NULL : atomic_exchange(&shelf->block, NULL);
    if (block != NULL && block->bytes >= bytes) {
        return block;
    }
    free(block);
    size_t all = bytes + sizeof *block;
    block = all < bytes ? NULL : (bytes <= SHELF_BYTES ? mlp_allocate : mlp_reserve)(all, 1);
    if (block != NULL) {
        block->bytes = bytes;
    }
    return block;
}

static void leave_block(mlp_shelf *shelf, scratch_block *block) {
    bool kept = shelf != NULL && block != NULL && block->bytes <= SHELF_BYTES;
#ifdef MLP_POISON /* a block that is larger than needed would hide what is written past its end */
    kept = false;
#endif
    free(kept ? atomic_exchange(&shelf->block, block) : block);
}

void mlp_clear_shelf(mlp_shelf *shelf) { free(atomic_exchange(&shelf->block, NULL)); }

/* A block from the room where it fits. */
static void *take(mlp_room *room, size_t bytes) {
    if (room == NULL || bytes > sizeof room->bytes - room->used) {
        return mlp_reserve(bytes, 1);
    }
    void *block = room->bytes + room->used;
    room->used += (bytes + MLP_VECTOR_BYTES - 1) / MLP_VECTOR_BYTES * MLP_VECTOR_BYTES;
    return block;
}

static mlp_cutter rest_of(mlp_room *room) {
    return room == NULL ? (mlp_cutter){0}
                        : (mlp_cutter){.at = room->bytes + room->used, .bytes = sizeof room->bytes - room->used};
}

static void cut_passes(mlp_crew *crew, mlp_cutter *c, const demands *d) {
    for (size_t i = 0; i < crew->n; i++) {
        cut_all(crew->members[i].pass, c, d, i == 0 || !d->by_parts);
    }
    if (d->by_parts) {
        crew->losses = mlp_cut(c, crew->members[0].pass->plan.block * sizeof(double));
        crew->weights = mlp_cut(c, crew->members[0].pass->plan.block * sizeof(double));
    }
}

static bool ends_within_vectors(const mlp_network *net) {
    bool within = false;
    for (size_t l = 1; l < net->n_layers; l++) {
        within = within || mlp_whole_vectors(net, net->layers[l].n_out) != net->layers[l].n_out;
    }
    return within;
}

/* What lies past the units of dots in their tile is not written with them: zeros, once. */
static void clear_dots(const mlp_pass *pass, size_t n_rows) {
    for (size_t l = 1; l < pass->net->n_layers; l++) {
        if (mlp_is_of_dots(pass->net, &pass->plan, l)) {
            memset(pass->a[l], 0, block_size(pass, l, n_rows) * pass->net->item);
        }
    }
}

/* Scratch for every pass. Vectors are computed whole, also where a row of a tile ends within one, and what lies there
 * may be left from anything: subnormal numbers made small networks take half as long again. So a small call clears its
 * room where there are such rows; a block that is kept is new, or has what products of an earlier call left. False: no
 * memory. */
static bool equip(mlp_crew *crew, const demands *d, mlp_room *room) {
    mlp_cutter knife = rest_of(room);
    cut_passes(crew, &knife, d);
    size_t bytes = knife.used;
    if (bytes <= knife.bytes) {
        if (ends_within_vectors(crew->net)) {
            memset(knife.at, 0, bytes);
        }
    } else {
        scratch_block *block = take_block(crew->call->shelf, bytes);
        if (block == NULL) {
            return false;
        }
        crew->block = block;
        knife = (mlp_cutter){.at = block->at, .bytes = bytes};
        cut_passes(crew, &knife, d);
#ifdef MLP_POISON /* tests find what is read without having been written */
        memset(block->at, 0xff, bytes);
#endif
        for (size_t i = 0; i < (d->by_parts ? 1 : crew->n); i++) { /* the others have tiles of the first */
            clear_dots(crew->members[i].pass, d->n_rows);
        }
    }
    for (size_t i = 0; i < crew->n; i++) {
        set_loss_parameters(crew->members[i].pass);
    }
    return true;
}

/* ---- Crews. */

bool mlp_crew_stops(const mlp_crew *crew) { return atomic_load_explicit(&crew->stop, memory_order_relaxed); }

static int told_to_stop(void *context) { return mlp_crew_stops(context); }

mlp_crew *mlp_crew_create(const mlp_network *net, size_t n_rows, mlp_purpose purpose, mlp_call *call, mlp_room *room) {
    mlp_plan plan = mlp_make_plan(net, n_rows, purpose == TRAINS);
    bool by_chunks = purpose != PREDICTS;
    if (!by_chunks && n_rows > plan.block) {
        plan.block = mlp_even_block(net, &plan, n_rows, call);
    }
    size_t chunk = by_chunks ? mlp_chunk_rows(net, n_rows) : n_rows;
    bool gradient = purpose == DIFFERENTIATES || purpose == TRAINS;
    size_t n = mlp_threads_of_units(net, n_rows, by_chunks ? chunk : plan.block, gradient, call);
    bool one_chunk = gradient && n_rows <= chunk;
    n = one_chunk ? mlp_parts_for(net, &plan, n_rows, call) : n;
    bool by_parts = one_chunk && n > 1;
    size_t members = sizeof(mlp_crew) + n * sizeof(mlp_member), head = members + n * sizeof(mlp_outcome);
    mlp_crew *crew = take(room, head + n * pass_size(net));
    if (crew == NULL) {
        return NULL;
    }
    memset(crew, 0, head);
    crew->outcomes = (mlp_outcome *)(void *)((char *)crew + members);
    crew->call = call;
    crew->room = room;
    crew->net = net;
    crew->n = n;
    crew->n_rows = n_rows;
    crew->chunk = chunk;
    crew->by_parts = by_parts;
    demands d = {.n_rows = n_rows,
                 .chunk = chunk,
                 .gradient = gradient,
                 .input_gradient = purpose == DIFFERENTIATES,
                 .losses = purpose != PREDICTS,
                 .dropout = purpose == TRAINS,
                 .by_parts = by_parts,
                 .n_threads = n == 1 ? mlp_threads_of_products(net, &plan, call) : 1};
    for (size_t i = 0; i < n; i++) {
        mlp_member *member = &crew->members[i];
        member->call.poll = told_to_stop;
        member->call.context = crew;
        member->pass = (mlp_pass *)(void *)((char *)crew + head + i * pass_size(net));
        begin_pass(member->pass, net, &plan, &d, i == 0 ? call : &member->call);
        if (by_parts && i > 0) {
            member->pass->plan.block = mlp_whole_vectors(net, mlp_part_rows(net, &plan, plan.block, n));
        }
    }
    if (!equip(crew, &d, room)) {
        mlp_crew_destroy(crew);
        return NULL;
    }
    return crew;
}

void mlp_crew_destroy(mlp_crew *crew) {
    if (crew == NULL) {
        return;
    }
    leave_block(crew->call->shelf, crew->block);
    if (crew->room == NULL || (char *)crew != crew->room->bytes) {
        free(crew);
    }
}

void mlp_take_part(mlp_crew *crew, size_t t, size_t first, size_t n) {
    const mlp_pass *whole = crew->members[0].pass;
    const mlp_network *net = crew->net;
    mlp_pass *pass = crew->members[t].pass;
    pass->whole = n;
    if (t == 0) { /* it has all of the block */
        return;
    }
    for (size_t l = 0; l <= net->n_layers; l++) {
        size_t at = first * net->layers[l].ld;
        pass->a[l] = mlp_at(net, whole->a[l], at);
        pass->dz[l] = mlp_at(net, whole->dz[l], at);
        pass->d[l] = whole->d[l] == NULL ? NULL : mlp_at(net, whole->d[l], at);
        pass->mask[l] = whole->mask[l] == NULL ? NULL : mlp_at(net, whole->mask[l], at);
        pass->dropped[l] = whole->dropped[l] == NULL ? NULL : mlp_at(net, whole->dropped[l], at);
    }
    if (pass->plan.single) {
        pass->dz[net->n_layers] = pass->dz_out = mlp_at(net, whole->dz_out, first);
    }
}

size_t mlp_chunk_of(const mlp_crew *crew, size_t n) {
    return n == crew->n_rows ? crew->chunk : mlp_chunk_rows(crew->net, n);
}

bool mlp_is_one_block(const mlp_crew *crew, size_t n) {
    return n <= mlp_chunk_of(crew, n) && n <= crew->members[0].pass->plan.block;
}

void mlp_crew_evaluate_at(mlp_crew *crew, const void *parameters) {
    for (size_t i = 0; i < crew->n; i++) {
        crew->members[i].pass->parameters = parameters;
    }
}

void mlp_crew_report(mlp_crew *crew, size_t i, const mlp_pass *pass, mlp_status status) {
    mlp_outcome *outcome = &crew->outcomes[i];
    outcome->status = status;
    if (status != MLP_OK) {
        outcome->complaint = *pass->team.call;
        atomic_store_explicit(&crew->stop, true, memory_order_relaxed);
    }
}

mlp_status mlp_crew_status(const mlp_crew *crew, size_t n) {
    mlp_status status = MLP_OK;
    for (size_t t = 0; t < n; t++) {
        const mlp_outcome *o = &crew->outcomes[t];
        if (o->status != MLP_OK && (status == MLP_OK || status == MLP_INTERRUPTED)) {
            status = o->status;
            crew->call->row = o->complaint.row;
            crew->call->column = o->complaint.column;
            memcpy(crew->call->reason, o->complaint.reason, sizeof crew->call->reason);
        }
    }
    return status;
}
