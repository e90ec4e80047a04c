/* brief.c: steps on as many samples as a virtual vector has lanes, at most, through layers of a few units: to go from
 * kernel to kernel would take longer than to compute them, so one kernel has it all. Same steps, same bits. */
#include "pass.h"

#include <stdlib.h>

/* The rows of a few steps are read together, so many bytes of them at most, long before they are used: numbers that are
 * stored one by one and loaded as a vector at once would be waited for. */
enum { SLICE_BYTES = 16 * 1024, MOST_STEPS = 8 };

/* Fewer of these either way are moved one by one. */
enum { FEW_NUMBERS = 8 };

struct mlp_brief_steps {
    const mlp_network *net;
    mlp_call *call;
    mlp_brief brief;
    size_t batch;            /* rows of a step */
    size_t room, begin, end; /* for so many rows; of the data those that are there */
    bool holds;              /* a batch that stays */
    mlp_sample_room read;
    char *x, *y; /* a block for each step: n[0] rows of a virtual vector, K rows */
};

/* Of each parameter, in their order; past the last one, where vectors of them end, any. */
static void find_factors(const mlp_brief *net, size_t n, const void *ones) {
    mlp_factors *f = net->factors;
    for (size_t l = 0; l < net->n_layers; l++) {
        const mlp_brief_layer *layer = &net->layers[l];
        const char *below = l == 0 ? net->x : net->layers[l - 1].a, *dz = layer->dz;
        for (size_t i = 0; i < layer->n_in + (layer->b != NULL); i++) {
            const void *a = i < layer->n_in ? below + i * MLP_VECTOR_BYTES : ones;
            for (size_t j = 0; j < layer->n_out; j++) {
                *f++ = (mlp_factors){.a = a, .dz = dz + j * MLP_VECTOR_BYTES};
            }
        }
    }
    while (f < net->factors + n) {
        *f++ = (mlp_factors){.a = ones, .dz = ones};
    }
}

/* So many virtual vectors. */
static void *cut_vectors(mlp_cutter *c, size_t n) { return mlp_cut(c, n * MLP_VECTOR_BYTES); }

static void cut_layers(const mlp_network *net, mlp_brief_layer *layers, mlp_cutter *c) {
    for (size_t l = 1; l <= net->n_layers; l++) {
        const mlp_layer *layer = &net->layers[l];
        mlp_brief_layer made = {.n_in = layer->n_in,
                                .n_out = layer->n_out,
                                .activation = layer->activation,
                                .w = mlp_at(net, net->parameters, layer->weights),
                                .b = net->bias ? mlp_at(net, net->parameters, layer->biases) : NULL,
                                .a = cut_vectors(c, layer->n_out),
                                .d = cut_vectors(c, layer->n_out),
                                .dz = cut_vectors(c, layer->n_out)};
        if (c->at != NULL) {
            layers[l - 1] = made;
        }
    }
}

/* Everything in one block. */
static mlp_brief_steps *cut_all(const mlp_network *net, size_t batch, mlp_cutter *c) {
    size_t inputs = mlp_inputs(net), outputs = mlp_outputs(net), n = mlp_whole_vectors(net, net->n_parameters);
    size_t n_steps = mlp_min(SLICE_BYTES / ((inputs + outputs) * MLP_VECTOR_BYTES), MOST_STEPS), room = n_steps * batch;
    mlp_brief_steps *s = mlp_cut(c, sizeof *s);
    mlp_brief_layer *layers = mlp_cut(c, net->n_layers * sizeof *layers);
    mlp_brief_steps made = {.net = net,
                            .brief = {.n_layers = net->n_layers,
                                      .n_parameters = net->n_parameters,
                                      .layers = layers,
                                      .factors = mlp_cut(c, n * sizeof(mlp_factors)),
                                      .loss = net->loss,
                                      .of_output = net->loss_kind == OF_DIFFERENCE,
                                      .loss_parameters = net->loss_parameters,
                                      .x = cut_vectors(c, inputs),
                                      .scale = cut_vectors(c, 1)},
                            .batch = batch,
                            .room = room,
                            .read = {.x = mlp_cut(c, room * inputs * net->item),
                                     .y = mlp_cut(c, room * outputs * net->item),
                                     .labels = mlp_cut(c, room * sizeof(double)),
                                     .cells = mlp_cut(c, inputs * sizeof(double))},
                            .x = cut_vectors(c, n_steps * inputs),
                            .y = cut_vectors(c, n_steps * outputs)};
    void *ones = cut_vectors(c, 1);
    cut_layers(net, layers, c);
    if (c->at != NULL) {
        *s = made;
        net->kernels->fill(ones, 1.0, MLP_VECTOR_BYTES / net->item);
        find_factors(&s->brief, n, ones);
    }
    return s;
}

mlp_brief_steps *mlp_brief_create(const mlp_network *net, size_t batch, mlp_call *call) {
    mlp_cutter measure = {0};
    cut_all(net, batch, &measure);
    void *block = mlp_reserve(measure.used, 1);
    if (block == NULL) {
        return NULL;
    }
#ifdef MLP_POISON /* as in crew.c */
    memset(block, 0xff, measure.used);
#endif
    mlp_brief_steps *s = cut_all(net, batch, &(mlp_cutter){.at = block, .bytes = measure.used});
    s->call = call;
    return s;
}

void mlp_brief_destroy(mlp_brief_steps *s) { free(s); }

/* n samples as blocks of a step each; samples that are not there are the last one, so that they overflow no earlier. */
static void put_in_lanes(const mlp_brief_steps *s, char *blocks, const void *samples, size_t ld, size_t columns,
                         size_t n) {
    const mlp_network *net = s->net;
    const mlp_kernels *kernels = net->kernels;
    size_t lanes = MLP_VECTOR_BYTES / net->item;
    for (size_t at = 0; at < n; at += s->batch, blocks += columns * MLP_VECTOR_BYTES) {
        size_t some = mlp_min(n - at, s->batch);
        const void *first = mlp_at(net, samples, at * ld);
        bool few = some < FEW_NUMBERS && columns < FEW_NUMBERS;
        for (size_t j = 0; few && j < columns; j++) {
            kernels->brief_column(blocks + j * MLP_VECTOR_BYTES, mlp_at(net, first, j), ld, some);
        }
        if (!few) {
            kernels->transpose(blocks, lanes, first, ld, some, columns);
        }
        if (!few && some < lanes) {
            kernels->repeat_last(blocks, columns, some, lanes);
        }
    }
}

/* The rows of the step at hand, and of those that come next. */
static mlp_status read_rows(mlp_brief_steps *s, const mlp_batch *batch) {
    size_t n = mlp_min(s->room, batch->data->x.n_rows - batch->first);
    mlp_samples samples;
    mlp_status status =
        mlp_read_samples(s->net, batch->data, batch->order, batch->first, n, &s->read, &samples, s->call);
    if (status == MLP_OK) {
        put_in_lanes(s, s->x, samples.x, samples.ldx, mlp_inputs(s->net), n);
        put_in_lanes(s, s->y, samples.y, samples.ldy, mlp_outputs(s->net), n);
        s->begin = batch->first;
        s->end = batch->first + n;
    }
    return status;
}

mlp_status mlp_run_brief(mlp_brief_steps *s, const mlp_batch *batch, void *gradient, mlp_sums *sums) {
    const mlp_network *net = s->net;
    size_t inputs = mlp_inputs(net), outputs = mlp_outputs(net), n = batch->n;
    /* Batches come in their order: at the first one an epoch begins, whose order may be another. */
    bool there = batch->first == 0 ? s->holds : batch->first < s->end;
    *sums = (mlp_sums){.weight = (double)n};
    if (!there) {
        mlp_status status = read_rows(s, batch);
        if (status != MLP_OK) {
            return status;
        }
    }
    s->holds = batch->stays;
    if (n != s->brief.n) { /* the samples that are not there have no derivative */
        s->brief.n = n;
        net->kernels->fill(s->brief.scale, 0.0, MLP_VECTOR_BYTES / net->item);
        net->kernels->fill(s->brief.scale, net->sum ? 1.0 : mlp_per_weight((double)n), n);
    }
    size_t step = (batch->first - s->begin) / s->batch;
    sums->loss = net->kernels->brief(&s->brief, gradient, s->x + step * inputs * MLP_VECTOR_BYTES,
                                     s->y + step * outputs * MLP_VECTOR_BYTES);
    double work = MLP_STEP_WORK + MLP_SAMPLE_WORK * (double)(n * (inputs + outputs)) + mlp_work(net, n, true);
    return mlp_pause(s->call, work) ? MLP_INTERRUPTED : MLP_OK;
}
