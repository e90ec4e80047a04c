/* plan.c: from shapes to the way they are computed. Nothing else decides between regimes, blocks, chunks and parts, or
 * how many threads share them.
 *
 * An order of summation, and so the bits, follow from every field of a plan but `few` and `brief`, the chunks,
 * mlp_turns_dw and mlp_goes_back_by_rows, but not from mlp_steps_by_rows and mlp_multiplies_ahead. These depend on
 * shapes, constants and whether the call trains, never on caches, instruction sets or threads: a run has the same bits
 * on every machine with fused multiply-adds. Even blocks are for predictions, which sum nothing over rows. */
#include "matmul.h"

/* Samples may go into the lanes where layers have too few units to fill a vector. For each sample that takes as long as
 * its multiply-adds, n_in * n_out a layer, and one more for an input, which has to be transposed. By units the products
 * of a layer take as long as so many of these, whatever its width: those of the first layer, of an inner one, and of
 * the last one, by its outputs (measured for float; double has three fifths). Steps on one sample have a way of their
 * own, in lanes whatever these say. */
enum { LANES_UNITS = 12, FIRST_LAYER = 210, INNER_LAYER = 150, ONE_OUTPUT = 50, SOME_OUTPUTS = 150, EACH_OUTPUT = 18 };

/* A step of a few samples is one call for so many parameters at most: more take long enough from kernel to kernel. */
enum { BRIEF_PARAMETERS = 4096 };

/* One chain of sums over this many samples at most: accurate in float. Batches of more are cut into chunks of one size.
 * So are smaller ones, into a few that threads can have to themselves, where such a chunk is worth a thread's while and
 * its gradient so small that adding it to the others costs next to nothing (1 to 3 % on one thread). Of an odd number
 * one of two threads would have one more. */
enum { CHUNK_ROWS = 1024, LEAST_CHUNK_ROWS = 96, FEW_CHUNKS = 4, ADDED_BYTES = 64 * 1024 };
static const double chunk_work = 5e5;

/* A block of fewer rows is not worth a thread of its own. */
enum { LEAST_BLOCK_ROWS = 64 };

/* Nor is a part of one of fewer rows. Threads that have parts of a block read the weights that others have updated: so
 * much at most. */
enum { LEAST_PART_ROWS = 8, PASSED_BYTES = 2 * 1024 * 1024 };

/* A product by weights of so many inputs for each row had better be shared by these, each thread with weights of its
 * own, than by its rows. */
enum { DEEP = 8 };

/* On the way back either the weights are transposed, or dZ and what comes of it, where these are so much smaller and
 * the samples leave no vector half empty: up to 9 % of a step. */
enum { TURNED_DA = 2 };

/* The gradient of few units' weights would leave a good part of its vectors empty (the last one may be half of one). It
 * is computed as its transpose where that has fewer of them, and samples enough: to be turned back takes each element
 * as long as so many samples' multiplications. Up to 15 % of a step. (The first layer's goes on from an earlier block
 * as it is.) */
enum { TURNED_DW = 14 };

/* Adam's step goes on beside the multiplications of dW where a tile has as many samples of them as it has vectors, and
 * not so many more that the step is little of the work; and where a layer has tiles enough. Up to 7 % of a step;
 * elsewhere it costs as much, or more, than one that follows. */
enum { FUSED_ROWS = 20, MOST_FUSED_ROWS = 128, FUSED_INPUTS = 64 };

/* Few units of an inner layer are dots after so many virtual vectors of inputs: a register tile takes a row's inputs
 * one by one for a part of a vector; sums over the lanes cost as much as some vectors of inputs. */
enum { DOT_VECTORS = 2 };

/* Of few samples a gradient is less work than its way to memory and back, and so is dA than packing the weights for it.
 * Steps are by rows where these are whole vectors; those of plain gradient descent, also where few lanes of a row's
 * vectors are empty, but in short rows of fewer samples. Adam's take so many registers that sixteen leave too few to
 * multiply as many samples in. */
enum { STEPS_BY_ROWS = 32, SOME_BY_ROWS = 8, SHORT_ROW = 4 * MLP_VECTOR_BYTES, BACK_BY_ROWS = 4 };

/* A block of very wide layers has fewer rows: so many numbers of the widest, that what follows a product (activations,
 * losses) takes no longer than the caller should wait; but enough to share a pass over the weights. */
enum { BLOCK_NUMBERS = 1 << 23, WIDE_BLOCK_ROWS = 32 };

/* A prediction's product fetches the next block's rows while it computes one, where they are read in place: both should
 * stay in the L2 cache, unless weights are so many that a block should rather be long. */
enum { FETCHED_BYTES = 384 * 1024 };

/* So many outputs fill the vectors of a row, and putting their samples into lanes would be two transpositions. */
enum { MANY_OUTPUTS = 16, MANY_CLASSES = 32 };

/* A step of more samples takes long enough for the cores to pass the weights around. */
enum { FEW_SAMPLES = 128 };

/* Longer chunks are not shared: the calling thread could not look up in time. */
static const double longest_chunk = 5e8;

/* A region of less work is faster on one thread. Waking a worker takes 10 us, and as long again until it comes: a call
 * that has had less to share does with those that are awake. */
static const double shared_work = 5e5, waking_work = 2e7;

size_t mlp_whole_vectors(const mlp_network *net, size_t n) {
    size_t vector = MLP_VECTOR_BYTES / net->item; /* a power of 2 */
    return (n + vector - 1) & ~(vector - 1);
}

/* Rows a multiple of 1 KiB apart would fall into few sets of the L1 cache. */
size_t mlp_padded(const mlp_network *net, size_t n) {
    size_t ld = mlp_whole_vectors(net, n);
    return ld * net->item % 1024 == 0 ? ld + MLP_VECTOR_BYTES / net->item : ld;
}

double mlp_work(const mlp_network *net, size_t n_rows, bool gradient) {
    return (gradient ? 3 : 1) * net->row_work * (double)n_rows;
}

size_t mlp_threads_for(const mlp_call *call, double work) {
    if (call->pool == NULL || call->n_threads <= 1 || work < shared_work) {
        return 1;
    }
    size_t most = mlp_pool_limit(call->pool); /* work is cut for no more than there will be */
    return mlp_min(call->n_threads, most);
}

size_t mlp_team_threads(const mlp_team *team, double work) {
    return team->n_threads > 1 ? mlp_threads_for(team->call, work) : 1;
}

void mlp_share(mlp_call *call, size_t n_threads, double work, size_t n_tasks, mlp_task task, void *context) {
    n_threads = mlp_min(n_threads, call->n_threads);
    call->shared += n_threads > 1 && n_tasks > 1 ? work : 0;
    mlp_parallel(call->pool, n_threads, call->shared >= waking_work, n_tasks, task, context);
}

bool mlp_is_narrow(const mlp_network *net) {
    bool narrow = mlp_inputs(net) <= MLP_LANES_INPUTS;
    for (size_t l = 1; l <= net->n_layers; l++) {
        narrow = narrow && net->layers[l].n_out <= LANES_UNITS;
    }
    return narrow;
}

static bool lanes_pay(const mlp_network *net) {
    size_t outputs = mlp_outputs(net), in_lanes = mlp_inputs(net);
    size_t by_units = outputs == 1 ? ONE_OUTPUT : SOME_OUTPUTS + EACH_OUTPUT * outputs;
    for (size_t l = 1; l <= net->n_layers; l++) {
        in_lanes += net->layers[l].n_in * net->layers[l].n_out;
        by_units += l == net->n_layers ? 0 : l == 1 ? FIRST_LAYER : INNER_LAYER;
    }
    return net->dtype == MLP_F32 ? in_lanes <= by_units : 5 * in_lanes <= 3 * by_units;
}

mlp_plan mlp_make_plan(const mlp_network *net, size_t n_rows, bool trains) {
    mlp_plan plan = {.lanes = mlp_is_narrow(net) && (lanes_pay(net) || (trains && n_rows == 1))};
    plan.dots = !plan.lanes && mlp_outputs(net) <= MLP_DOTS; /* so few would leave a register tile empty */
    plan.single = plan.dots && mlp_outputs(net) == 1;
    plan.by_rows = !plan.lanes && net->loss_kind == OF_DIFFERENCE && mlp_outputs(net) >= MANY_OUTPUTS;
    plan.classes = !plan.lanes && net->loss_kind == OF_LOGITS && mlp_outputs(net) >= MANY_CLASSES;
    size_t fit = BLOCK_NUMBERS / net->widest & ~(size_t)(WIDE_BLOCK_ROWS - 1);
    plan.block = fit >= MLP_BLOCK_ROWS ? MLP_BLOCK_ROWS : fit > WIDE_BLOCK_ROWS ? fit : WIDE_BLOCK_ROWS;
    size_t rows = mlp_whole_vectors(net, n_rows);
    plan.block = mlp_min(rows, plan.block);
    plan.few = !plan.lanes && n_rows <= FEW_SAMPLES;
    plan.brief =
        plan.lanes && trains && n_rows * net->item <= MLP_VECTOR_BYTES && net->n_parameters <= BRIEF_PARAMETERS;
    return plan;
}

size_t mlp_even_block(const mlp_network *net, const mlp_plan *plan, size_t n_rows, const mlp_call *call) {
    size_t most = plan->block;
    if (net->n_parameters * net->item <= FETCHED_BYTES && !plan->lanes && !mlp_is_of_dots(net, plan, 1)) {
        size_t near = FETCHED_BYTES / net->item / mlp_inputs(net);
        most = mlp_min(most, mlp_max(near, LEAST_BLOCK_ROWS));
    }
    size_t n = mlp_threads_for(call, mlp_work(net, n_rows, false)), worth = n_rows / LEAST_BLOCK_ROWS;
    n = mlp_max(mlp_min(n, worth), 1);
    size_t n_blocks = n * ((n_rows + n * most - 1) / (n * most));
    return mlp_whole_vectors(net, (n_rows + n_blocks - 1) / n_blocks);
}

size_t mlp_threads_of_units(const mlp_network *net, size_t n_rows, size_t unit, bool gradient, const mlp_call *call) {
    size_t n_units = (n_rows + unit - 1) / unit;
    if (n_units < 2 || mlp_work(net, unit, gradient) > longest_chunk) {
        return 1;
    }
    size_t n = mlp_threads_for(call, mlp_work(net, n_rows, gradient));
    return mlp_min(n, n_units);
}

static double product_work(const mlp_layer *layer, size_t n_rows) {
    return 2.0 * (double)n_rows * (double)layer->n_in * (double)layer->n_out;
}

size_t mlp_threads_of_products(const mlp_network *net, const mlp_plan *plan, const mlp_call *call) {
    double largest = 0;
    bool worth = !plan->lanes && mlp_threads_for(call, mlp_work(net, plan->block, false)) > 1; /* all together */
    for (size_t l = 1; l <= net->n_layers && worth; l++) {
        double work = product_work(&net->layers[l], plan->block);
        largest = work > largest ? work : largest;
    }
    return mlp_threads_for(call, largest);
}

bool mlp_is_of_dots(const mlp_network *net, const mlp_plan *plan, size_t l) {
    const mlp_layer *layer = &net->layers[l];
    bool few = layer->n_out <= MLP_DOTS && layer->n_in * net->item >= DOT_VECTORS * MLP_VECTOR_BYTES;
    return l == net->n_layers ? plan->dots : few && !plan->lanes;
}

bool mlp_is_deep(size_t n_in, size_t n_rows) { return n_in >= DEEP * n_rows; }

bool mlp_turns_da(const mlp_network *net, const mlp_layer *layer, size_t n_rows) {
    size_t n_in = layer->n_in, n_out = layer->n_out;
    return mlp_whole_vectors(net, n_rows) == n_rows && n_in * n_out > TURNED_DA * n_rows * (n_in + n_out) &&
           n_out <= MLP_PANEL_DEPTH;
}

bool mlp_turns_dw(const mlp_network *net, const mlp_layer *layer, size_t n_rows) {
    size_t n_in = layer->n_in, n_out = layer->n_out, half = MLP_VECTOR_BYTES / net->item / 2;
    size_t lanes = n_in * ((n_out + half - 1) / half * half), lanes_turned = n_out * mlp_whole_vectors(net, n_in);
    return n_out <= MLP_TURNED_UNITS && lanes_turned < lanes &&
           n_rows * (lanes - lanes_turned) >= TURNED_DW * n_in * n_out;
}

static bool is_plain(const mlp_network *net) {
    return !net->rule->fuses && net->optimizer.momentum == 0 && net->l2 == 0;
}

bool mlp_steps_by_rows(const mlp_network *net, const mlp_layer *layer, size_t n_rows) {
    size_t n = layer->n_out, lanes = net->kernels->lanes, filled = (n + lanes - 1) / lanes * lanes;
    bool whole = mlp_whole_vectors(net, n) == n, plain = is_plain(net) && n > lanes && 4 * n >= 3 * filled;
    bool some = whole ? net->rule->fuses && !mlp_is_fusible(net) : n * net->item < SHORT_ROW;
    return net->rule->outer != NULL && (whole || plain) && n_rows <= (some ? SOME_BY_ROWS : STEPS_BY_ROWS) &&
           !mlp_hides_update(net, layer, n_rows, 1);
}

bool mlp_multiplies_ahead(const mlp_network *net, const mlp_team *team) {
    const mlp_layer *layer = &net->layers[1];
    return is_plain(net) && mlp_steps_by_rows(net, layer, 1) && mlp_team_threads(team, product_work(layer, 1)) == 1;
}

bool mlp_goes_back_by_rows(size_t n_rows) { return n_rows <= BACK_BY_ROWS; }

bool mlp_is_fusible(const mlp_network *net) { return net->rule->fuses && net->kernels->product_adam != NULL; }

bool mlp_hides_update(const mlp_network *net, const mlp_layer *layer, size_t n_rows, size_t n_threads) {
    bool hides = layer->n_in >= FUSED_INPUTS && n_rows >= FUSED_ROWS && n_rows <= MOST_FUSED_ROWS;
    return mlp_is_fusible(net) && layer->n_out >= net->kernels->panel && (n_threads > 1 || hides);
}

size_t mlp_parts_for(const mlp_network *net, const mlp_plan *plan, size_t n_rows, const mlp_call *call) {
    size_t block = mlp_min(n_rows, plan->block), most = block / LEAST_PART_ROWS;
    bool worth = !plan->lanes && most > 1 && net->n_parameters * net->item <= PASSED_BYTES;
    for (size_t l = 1; l <= net->n_layers; l++) { /* but for products that are better shared by themselves */
        const mlp_layer *layer = &net->layers[l];
        bool deep = mlp_is_deep(layer->n_in, block) && !mlp_is_of_dots(net, plan, l);
        bool alone = deep && mlp_threads_for(call, product_work(layer, block)) > 1;
        worth = worth && !alone;
    }
    if (!worth) {
        return 1;
    }
    size_t n = mlp_threads_for(call, 0.5 * mlp_work(net, n_rows, true)); /* one region to come, one to go */
    size_t rows = mlp_part_rows(net, plan, block, mlp_min(n, most));
    return (block + rows - 1) / rows; /* where parts are whole vectors there may be fewer */
}

size_t mlp_part_rows(const mlp_network *net, const mlp_plan *plan, size_t n, size_t n_parts) {
    size_t even = (n + n_parts - 1) / n_parts, part = mlp_max(even, LEAST_PART_ROWS);
    return plan->single ? mlp_whole_vectors(net, part) : part; /* their dZ are vectors one after the other */
}

size_t mlp_chunk_rows(const mlp_network *net, size_t n) {
    size_t n_chunks = n > CHUNK_ROWS ? 2 * ((n + 2 * CHUNK_ROWS - 1) / (2 * CHUNK_ROWS)) : 1;
    if (n >= 2 * LEAST_CHUNK_ROWS && n_chunks < FEW_CHUNKS && net->n_parameters * net->item <= ADDED_BYTES) {
        double worth = mlp_work(net, n, true) / chunk_work;
        size_t few = worth < (double)FEW_CHUNKS ? (size_t)worth : FEW_CHUNKS, long_enough = n / LEAST_CHUNK_ROWS;
        few = mlp_min(few, long_enough) & ~(size_t)1;
        n_chunks = mlp_max(few, n_chunks);
    }
    return (n + n_chunks - 1) / n_chunks;
}
