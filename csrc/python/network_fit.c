/* network_fit.c: training: the settings of a fit, the hooks through which it calls Python, and the call itself. What
 * defaults mean and which combinations make sense is mlpc/training.py's to say. */
#include "wrapper.h"

#include <math.h>

/* ---- Settings */

static bool get_monitor(int number, mlp_monitor *monitor) {
    if (number < 0 || number > 2) {
        PyErr_Format(PyExc_ValueError,
                     "monitor must be 0 (loss), 1 (validation loss) or 2 (what callbacks add), got %d", number);
        return false;
    }
    *monitor = number == 0 ? MLP_LOSS : number == 1 ? MLP_VALIDATION_LOSS : MLP_HOOK_VALUE;
    return true;
}

bool get_schedule(PyObject *tuple, mlp_schedule *s, PyObject **hook) {
    const char *kind = NULL;
    *s = (mlp_schedule){.kind = MLP_CONSTANT};
    *hook = NULL;
    if (PyTuple_Check(tuple) && PyTuple_GET_SIZE(tuple) > 0 && PyUnicode_Check(PyTuple_GET_ITEM(tuple, 0))) {
        kind = PyUnicode_AsUTF8(PyTuple_GET_ITEM(tuple, 0));
    }
    if (kind == NULL) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "a schedule must be a tuple that begins with its name");
        return false;
    }
    if (strcmp(kind, "step_decay") == 0) {
        s->kind = MLP_STEP_DECAY;
        return PyArg_ParseTuple(tuple, "sdd:step_decay", &kind, &s->epochs, &s->factor);
    }
    if (strcmp(kind, "exponential_decay") == 0) {
        s->kind = MLP_EXPONENTIAL_DECAY;
        return PyArg_ParseTuple(tuple, "sd:exponential_decay", &kind, &s->factor);
    }
    if (strcmp(kind, "cosine_decay") == 0) {
        s->kind = MLP_COSINE_DECAY;
        return PyArg_ParseTuple(tuple, "sddd:cosine_decay", &kind, &s->epochs, &s->minimum, &s->warmup);
    }
    if (strcmp(kind, "inverse_scaling") == 0) {
        s->kind = MLP_INVERSE_SCALING;
        return PyArg_ParseTuple(tuple, "sd:inverse_scaling", &kind, &s->power);
    }
    if (strcmp(kind, "one_cycle") == 0) {
        s->kind = MLP_ONE_CYCLE;
        return PyArg_ParseTuple(tuple, "sddd:one_cycle", &kind, &s->epochs, &s->peak, &s->start_fraction);
    }
    if (strcmp(kind, "reduce_on_plateau") == 0) {
        int monitor = 0;
        s->kind = MLP_REDUCE_ON_PLATEAU;
        return PyArg_ParseTuple(tuple, "sidddd:reduce_on_plateau", &kind, &monitor, &s->factor, &s->patience,
                                &s->min_delta, &s->minimum) &&
               get_monitor(monitor, &s->monitor);
    }
    if (strcmp(kind, "hook") == 0) {
        s->kind = MLP_SCHEDULE_HOOK;
        return PyArg_ParseTuple(tuple, "sO:hook", &kind, hook);
    }
    PyErr_Format(PyExc_ValueError, "unknown schedule %s", kind);
    return false;
}

static bool get_stopping(PyObject *tuple, mlp_stopping *stopping) {
    int monitor = 0, maximize = 0, restore_best = 0;
    Py_ssize_t patience = 0;
    if (tuple == Py_None) return true;
    if (!PyTuple_Check(tuple)) {
        PyErr_Format(PyExc_TypeError, "stopping must be a tuple or None, got %s", Py_TYPE(tuple)->tp_name);
        return false;
    }
    if (!PyArg_ParseTuple(tuple, "ipndp:stopping", &monitor, &maximize, &patience, &stopping->min_delta,
                          &restore_best)) {
        return false;
    }
    if (patience < 1) {
        PyErr_Format(PyExc_ValueError, "stopping: patience must be >= 1, got %zd", patience);
        return false;
    }
    stopping->patience = (uint64_t)patience;
    stopping->maximize = maximize;
    stopping->restore_best = restore_best;
    return get_monitor(monitor, &stopping->monitor);
}

static bool get_validation(const network_object *self, PyObject *tuple, operands *validation) {
    Py_ssize_t n = PyTuple_Check(tuple) ? PyTuple_GET_SIZE(tuple) : 0;
    if (n != 2 && n != 3) {
        PyErr_Format(PyExc_TypeError, "validation_data must be a tuple (X, y) or (X, y, sample_weight), got %R",
                     Py_TYPE(tuple));
        return false;
    }
    PyObject *values[3] = {PyTuple_GET_ITEM(tuple, 0), PyTuple_GET_ITEM(tuple, 1),
                           n == 3 ? PyTuple_GET_ITEM(tuple, 2) : NULL};
    return get_data(self, values, VALIDATION_NAMES, validation);
}

/* ---- Hooks: the core's questions, put to Python. */

typedef struct {
    network_object *self;
    call *c;
    PyObject *multiplier, *epoch_end; /* borrowed from the arguments of fit */
    int each_epoch;
} hook_context;

/* Between the two the GIL is held and the training thread may read the network and assign its parameters. */
static bool enter_python(hook_context *h) {
    bool released = take_gil(h->c);
    h->self->in_callback = true;
    return released;
}

/* Nonzero: an exception is set, the callable's own or that of a signal. */
static int leave_python(hook_context *h, bool released) {
    h->self->in_callback = false;
    int stop = PyErr_Occurred() != NULL || PyErr_CheckSignals() != 0;
    give_gil(h->c, released);
    return stop;
}

static int ask_multiplier(void *context, uint64_t epoch, double *multiplier) {
    hook_context *h = context;
    bool released = enter_python(h);
    PyObject *value = PyObject_CallFunction(h->multiplier, "K", (unsigned long long)epoch);
    if (value != NULL) {
        *multiplier = PyFloat_AsDouble(value);
        if (!PyErr_Occurred() && !(*multiplier >= 0 && isfinite(*multiplier))) {
            PyErr_Format(PyExc_ValueError, "schedule(%llu) must be a finite number >= 0, got %R",
                         (unsigned long long)epoch, value);
        }
        Py_DECREF(value);
    }
    return leave_python(h, released);
}

/* Unless each epoch is to be told, those between two polls are not: no clock is read for them. */
static int tell_epoch_end(void *context, mlp_epoch *epoch, bool *stop) {
    hook_context *h = context;
    if (!h->each_epoch && !h->c->polled) return 0;
    h->c->polled = false;
    bool released = enter_python(h);
    int stops = 0;
    PyObject *answer = PyObject_CallFunction(h->epoch_end, "Kddd", (unsigned long long)epoch->epoch, epoch->loss,
                                             epoch->validation_loss, epoch->learning_rate);
    if (answer != NULL && !PyTuple_Check(answer)) {
        PyErr_Format(PyExc_TypeError, "epoch_end must return a tuple, got %s", Py_TYPE(answer)->tp_name);
    } else if (answer != NULL && PyArg_ParseTuple(answer, "pd:epoch_end", &stops, &epoch->stopping_value)) {
        *stop = stops;
    }
    Py_XDECREF(answer);
    return leave_python(h, released);
}

/* ---- fit */

static PyObject *result_of(const mlp_fit_result *result) {
    static const char *const reasons[] = {
        [MLP_EPOCHS] = "epochs",     [MLP_EARLY_STOPPING] = "early_stopping",
        [MLP_CALLBACK] = "callback", [MLP_CONVERGED] = "converged",
        [MLP_DIVERGED] = "diverged",
    };
    return Py_BuildValue("sKKK", reasons[result->reason], (unsigned long long)result->best_epoch,
                         (unsigned long long)result->diverged_epoch, (unsigned long long)result->diverged_step);
}

PyObject *network_fit(network_object *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"X",
                            "y",
                            "epochs",
                            "batch_size",
                            "shuffle",
                            "sample_weight",
                            "class_weight",
                            "validation_data",
                            "schedule",
                            "stopping",
                            "epoch_end",
                            "each_epoch",
                            "partial",
                            "n_threads",
                            "as_sklearn",
                            NULL};
    PyObject *values[3], *class_weight, *validation_data, *schedule_tuple, *stopping, *epoch_end, *result = NULL;
    Py_ssize_t epochs, batch_size, n_threads;
    int shuffle, partial, as_sklearn;
    call c;
    hook_context context = {.self = self, .c = &c};
    if (!ready(self) || !PyArg_ParseTupleAndKeywords(
                            args, kwargs, "OO$nnpOOOOOOppnp:_fit", names, &values[0], &values[1], &epochs, &batch_size,
                            &shuffle, &values[2], &class_weight, &validation_data, &schedule_tuple, &stopping,
                            &epoch_end, &context.each_epoch, &partial, &n_threads, &as_sklearn)) {
        return NULL;
    }
    operands data = {0}, validation = {0};
    mlp_schedule schedule;
    mlp_fit_result fit_result = {0};
    mlp_fit_settings settings = {.partial = partial, .as_sklearn = as_sklearn};
    if (epochs < 1 || batch_size < 0 || n_threads < 0) {
        PyErr_Format(PyExc_ValueError, "epochs must be >= 1, batch_size and n_threads >= 0, got %zd, %zd and %zd",
                     epochs, batch_size, n_threads);
        goto done;
    }
    if (epoch_end != Py_None) context.epoch_end = epoch_end;
    settings.epochs = (uint64_t)epochs;
    settings.batch_size = (size_t)batch_size;
    if (shuffle) {
        if (self->bit_generator == NULL) {
            PyErr_SetString(PyExc_ValueError, "shuffle needs a bit generator: set one first");
            goto done;
        }
        settings.shuffle = &self->random;
    }
    if (schedule_tuple != Py_None) {
        if (!get_schedule(schedule_tuple, &schedule, &context.multiplier)) goto done;
        settings.schedule = &schedule;
    }
    if (!get_stopping(stopping, &settings.stopping)) goto done;
    if (!get_data(self, values, TRAINING_NAMES, &data)) goto done;
    if (class_weight != Py_None && !get_class_weight(self, class_weight, &data)) goto done;
    if (validation_data != Py_None) {
        if (!get_validation(self, validation_data, &validation)) goto done;
        settings.validation = &validation.data;
    }
    mlp_hooks hooks = {
        .multiplier = context.multiplier == NULL ? NULL : ask_multiplier,
        .epoch_end = context.epoch_end == NULL ? NULL : tell_epoch_end,
        .context = &context,
    };
    if (hooks.multiplier != NULL || hooks.epoch_end != NULL) settings.hooks = &hooks;
    double work = mlp_work(self->net, data.x.rows.n_rows, true);
    if (settings.validation != NULL) work += mlp_work(self->net, validation.x.rows.n_rows, false);
    if (!lock_write(self, partial ? "partial_fit" : "fit")) goto done;
    begin_call(&c, self, work * (double)epochs, (size_t)n_threads);
    mlp_status status = mlp_fit(self->net, &data.data, &settings, &fit_result, &c.core);
    end_call(&c);
    unlock_write(self);
    result = status == MLP_OK ? result_of(&fit_result) : raise_status(status, &c, &data, &validation);
done:
    release_data(&validation);
    release_data(&data);
    return result;
}
