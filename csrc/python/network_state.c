/* network_state.c: what a network has beside its parameters: the optimizer's settings and state, the random source,
 * progress and history; and taking all of it out and putting it back, for saving and copying. */
#include "wrapper.h"

#include <numpy/random/bitgen.h>
#include <stddef.h>

static PyObject *none_if(bool ok) { return ok ? Py_NewRef(Py_None) : NULL; }

/* A number as size_t or uint64_t; ValueError where it is negative or too large. */
static bool get_count(PyObject *value, const char *name, uint64_t *count) {
    PyObject *number = PyNumber_Index(value);
    if (number == NULL) return false;
    *count = PyLong_AsUnsignedLongLong(number);
    Py_DECREF(number);
    if (*count == (uint64_t)-1 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
            PyErr_Format(PyExc_ValueError, "%s must be from 0 to 2**64 - 1, got %R", name, value);
        }
        return false;
    }
    return true;
}

/* ---- Fields of the core's structures by name */

typedef enum { REAL, COUNT, FLAG, TEXT } field_type;
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "a COUNT is either");

typedef struct {
    const char *name;
    field_type type;
    size_t offset;
} field;

#define OPTIMIZER(name, type) {#name, type, offsetof(mlp_optimizer, name)}
static const field optimizer_fields[] = {
    OPTIMIZER(rule, TEXT),          OPTIMIZER(learning_rate, REAL), OPTIMIZER(clip_norm, REAL),
    OPTIMIZER(momentum, REAL),      OPTIMIZER(nesterov, FLAG),      OPTIMIZER(classic, FLAG),
    OPTIMIZER(beta_1, REAL),        OPTIMIZER(beta_2, REAL),        OPTIMIZER(epsilon, REAL),
    OPTIMIZER(weight_decay, REAL),  OPTIMIZER(rho, REAL),           OPTIMIZER(eta_minus, REAL),
    OPTIMIZER(eta_plus, REAL),      OPTIMIZER(step_min, REAL),      OPTIMIZER(step_max, REAL),
    OPTIMIZER(history_size, COUNT), OPTIMIZER(tolerance, REAL),     {0},
};

#define PROGRESS(name, type) {#name, type, offsetof(mlp_progress, name)}
static const field progress_fields[] = {
    PROGRESS(epoch, COUNT),
    PROGRESS(step, COUNT),
    PROGRESS(optimizer_step, COUNT),
    PROGRESS(dropout_key, COUNT),
    PROGRESS(plateau_best, REAL),
    PROGRESS(plateau_multiplier, REAL),
    PROGRESS(plateau_value, REAL),
    PROGRESS(plateau_wait, COUNT),
    PROGRESS(pairs, COUNT),
    PROGRESS(newest_pair, COUNT),
    {0},
};

/* Fills a structure from a dict; the keys must be fields, and with `all` every field a key. Text is borrowed. */
static bool get_fields(const char *what, const field *fields, PyObject *dict, bool all, void *structure) {
    Py_ssize_t used = 0;
    if (!PyDict_Check(dict)) {
        PyErr_Format(PyExc_TypeError, "%s must be a dict, got %s", what, Py_TYPE(dict)->tp_name);
        return false;
    }
    for (const field *f = fields; f->name != NULL; f++) {
        char *place = (char *)structure + f->offset;
        PyObject *key = PyUnicode_FromString(f->name);
        PyObject *value = key == NULL ? NULL : PyDict_GetItemWithError(dict, key);
        Py_XDECREF(key);
        if (value == NULL) {
            if (PyErr_Occurred()) return false;
            if (!all) continue;
            PyErr_Format(PyExc_ValueError, "%s lacks %s", what, f->name);
            return false;
        }
        used++;
        Py_INCREF(value);
        int flag;
        switch (f->type) {
        case REAL: *(double *)place = PyFloat_AsDouble(value); break;
        case COUNT: get_count(value, f->name, (uint64_t *)place); break;
        case FLAG:
            flag = PyObject_IsTrue(value);
            *(bool *)place = flag > 0;
            break;
        case TEXT: *(const char **)place = PyUnicode_AsUTF8(value); break; /* the dict keeps it */
        }
        Py_DECREF(value);
        if (PyErr_Occurred()) return false;
    }
    if (used == PyDict_GET_SIZE(dict)) return true;
    PyErr_Format(PyExc_ValueError, "%s has unknown fields: %R", what, dict);
    return false;
}

static PyObject *dict_of(const field *fields, const void *structure) {
    PyObject *dict = PyDict_New();
    for (const field *f = fields; dict != NULL && f->name != NULL; f++) {
        const char *place = (const char *)structure + f->offset;
        PyObject *value = f->type == REAL ? PyFloat_FromDouble(*(const double *)place)
                                          : PyLong_FromUnsignedLongLong(*(const uint64_t *)place);
        if (value == NULL || PyDict_SetItemString(dict, f->name, value) < 0) Py_CLEAR(dict);
        Py_XDECREF(value);
    }
    return dict;
}

/* ---- Settings */

/* A Python attribute of the network's, set together with what the core has. */
static bool set_attribute(network_object *self, PyObject *name, PyObject *value) {
    return PyObject_GenericSetAttr((PyObject *)self, name, value) == 0;
}

PyObject *network_set_optimizer(network_object *self, PyObject *args) {
    PyObject *settings, *object = Py_None, *name = NULL;
    mlp_optimizer optimizer = {0};
    if (!ready(self) || !PyArg_ParseTuple(args, "O|O:_set_optimizer", &settings, &object) ||
        !get_fields("optimizer settings", optimizer_fields, settings, false, &optimizer)) {
        return NULL;
    }
    if (optimizer.rule == NULL) {
        PyErr_SetString(PyExc_ValueError, "optimizer settings lack rule");
        return NULL;
    }
    if (!lock_write(self, "optimizer")) return NULL;
    const char *reason = mlp_set_optimizer(self->net, &optimizer);
    if (reason == NULL) self->history_size = strcmp(optimizer.rule, "lbfgs") == 0 ? optimizer.history_size : 0;
    bool ok = reason == NULL;
    if (ok && object != Py_None) {
        name = PyUnicode_InternFromString("_optimizer");
        ok = name != NULL && set_attribute(self, name, object);
    }
    unlock_write(self);
    Py_XDECREF(name);
    bool no_memory = reason != NULL && strcmp(reason, MLP_NO_MEMORY_FOR_STATE) == 0;
    if (reason != NULL) PyErr_SetString(no_memory ? PyExc_MemoryError : PyExc_ValueError, reason);
    return none_if(ok);
}

/* The source of a bit generator, or none of None. */
static bool get_random(PyObject *bit_generator, mlp_random *random) {
    *random = (mlp_random){0};
    if (bit_generator == Py_None) return true;
    PyObject *capsule = PyObject_GetAttrString(bit_generator, "capsule");
    if (capsule == NULL) return false;
    bitgen_t *source = PyCapsule_GetPointer(capsule, "BitGenerator");
    Py_DECREF(capsule); /* what it points to belongs to the bit generator */
    if (source == NULL) return false;
    *random = (mlp_random){source->state, source->next_uint64, source->next_uint32};
    return true;
}

static void set_random(network_object *self, PyObject *bit_generator, const mlp_random *random) {
    Py_XSETREF(self->bit_generator, bit_generator == Py_None ? NULL : Py_NewRef(bit_generator));
    self->random = *random;
}

PyObject *network_set_bit_generator(network_object *self, PyObject *bit_generator) {
    mlp_random random;
    if (!ready(self) || !get_random(bit_generator, &random) || !lock_write(self, "random source")) return NULL;
    set_random(self, bit_generator, &random);
    unlock_write(self);
    Py_RETURN_NONE;
}

PyObject *network_restart(network_object *self, PyObject *args) {
    PyObject *parameters, *key_value, *bit_generator, *attributes, *name, *value;
    uint64_t key;
    mlp_random random;
    operand vector = {0};
    bool ok = false;
    if (!ready(self) ||
        !PyArg_ParseTuple(args, "OOOO!:_restart", &parameters, &key_value, &bit_generator, &PyDict_Type, &attributes) ||
        !get_count(key_value, "key", &key) || !get_random(bit_generator, &random)) {
        return NULL;
    }
    if (get_vector(self, parameters, "parameters", &vector) && lock_write(self, "reset")) {
        mlp_reset(self->net);
        memmove(mlp_parameters(self->net), PyArray_DATA(vector.array), (size_t)PyArray_NBYTES(vector.array));
        mlp_progress_of(self->net)->dropout_key = key;
        set_random(self, bit_generator, &random);
        ok = true;
        for (Py_ssize_t i = 0; ok && PyDict_Next(attributes, &i, &name, &value);) {
            ok = set_attribute(self, name, value);
        }
        unlock_write(self);
    }
    release(&vector);
    return none_if(ok);
}

PyObject *network_end_epoch(network_object *self, PyObject *Py_UNUSED(ignored)) {
    if (!ready(self) || !lock_write(self, "end_epoch")) return NULL;
    mlp_progress_of(self->net)->epoch++;
    unlock_write(self);
    Py_RETURN_NONE;
}

PyObject *network_record_epoch(network_object *self, PyObject *args) {
    double loss, validation_loss, learning_rate;
    if (!ready(self) || !PyArg_ParseTuple(args, "ddd:_record_epoch", &loss, &validation_loss, &learning_rate) ||
        !lock_write(self, "_record_epoch")) {
        return NULL;
    }
    bool ok = mlp_history_append(self->net, loss, validation_loss, learning_rate);
    if (ok) mlp_progress_of(self->net)->epoch++;
    unlock_write(self);
    return ok ? Py_NewRef(Py_None) : PyErr_NoMemory();
}

PyObject *network_release(network_object *self, PyObject *Py_UNUSED(ignored)) {
    if (!ready(self) || !lock_write(self, "_release")) return NULL;
    mlp_release(self->net);
    unlock_write(self);
    Py_RETURN_NONE;
}

/* ---- All of it, out and in */

PyObject *network_history(network_object *self, PyObject *Py_UNUSED(ignored)) {
    if (!ready(self) || !lock_read(self, "history")) return NULL;
    const mlp_history *h = mlp_history_of(self->net);
    PyObject *loss = (PyObject *)copy_of(h->loss, h->n_epochs, NPY_DOUBLE);
    PyObject *validation_loss = (PyObject *)copy_of(h->validation_loss, h->n_epochs, NPY_DOUBLE);
    PyObject *learning_rate = (PyObject *)copy_of(h->learning_rate, h->n_epochs, NPY_DOUBLE);
    unlock_read(self);
    PyObject *result = NULL;
    if (loss != NULL && validation_loss != NULL && learning_rate != NULL) {
        result = PyTuple_Pack(3, loss, validation_loss, learning_rate);
    }
    Py_XDECREF(learning_rate);
    Py_XDECREF(validation_loss);
    Py_XDECREF(loss);
    return result;
}

PyObject *network_get_state(network_object *self, PyObject *Py_UNUSED(ignored)) {
    PyObject *parameters = NULL, *optimizer_state = NULL, *progress = NULL, *history = NULL, *result = NULL;
    if (!ready(self) || !lock_read(self, "copy, save or fingerprint")) return NULL;
    size_t n;
    const mlp_history *h = mlp_history_of(self->net);
    const void *state = mlp_optimizer_state(self->net, &n);
    parameters = (PyObject *)copy_of(mlp_parameters(self->net), mlp_n_parameters(self->net), self->typenum);
    optimizer_state = (PyObject *)copy_of(state, n, self->typenum);
    progress = dict_of(progress_fields, mlp_progress_of(self->net));
    history = (PyObject *)new_matrix(3, h->n_epochs, NPY_DOUBLE);
    if (history != NULL && h->n_epochs > 0) {
        double *rows = PyArray_DATA((PyArrayObject *)history);
        memcpy(rows, h->loss, h->n_epochs * sizeof *rows);
        memcpy(rows + h->n_epochs, h->validation_loss, h->n_epochs * sizeof *rows);
        memcpy(rows + 2 * h->n_epochs, h->learning_rate, h->n_epochs * sizeof *rows);
    }
    unlock_read(self);
    if (parameters != NULL && optimizer_state != NULL && progress != NULL && history != NULL) {
        result = Py_BuildValue("{sOsOsOsO}", "parameters", parameters, "optimizer_state", optimizer_state, "progress",
                               progress, "history", history);
    }
    Py_XDECREF(history);
    Py_XDECREF(progress);
    Py_XDECREF(optimizer_state);
    Py_XDECREF(parameters);
    return result;
}

/* A float array of the state's dict as a contiguous one of the given dtype. */
static PyArrayObject *get_floats(const network_object *self, PyObject *dict, const char *name, int typenum) {
    PyObject *value = PyDict_GetItemString(dict, name);
    if (value == NULL) {
        PyErr_Format(PyExc_ValueError, "state lacks %s", name);
        return NULL;
    }
    PyArrayObject *array = as_numbers(self->state, value, name), *floats = NULL;
    if (array == NULL) return NULL;
    if (PyArray_TYPE(array) == NPY_FLOAT || PyArray_TYPE(array) == NPY_DOUBLE) {
        floats = (PyArrayObject *)PyArray_FromArray(array, PyArray_DescrFromType(typenum),
                                                    NPY_ARRAY_CARRAY_RO | NPY_ARRAY_FORCECAST);
    } else {
        PyErr_Format(PyExc_ValueError, "%s must be of float32 or float64, got %S", name, PyArray_DESCR(array));
    }
    Py_DECREF(array);
    return floats;
}

static bool check_length(const PyArrayObject *array, size_t n, const char *name) {
    if (PyArray_NDIM(array) == 1 && (size_t)PyArray_DIM(array, 0) == n) return true;
    PyErr_Format(PyExc_ValueError, "%s must have %zu elements for this network and optimizer, got %zd", name, n,
                 (Py_ssize_t)PyArray_SIZE((PyArrayObject *)array));
    return false;
}

static bool check_pairs(const network_object *self, const mlp_progress *p) {
    if (p->pairs <= self->history_size && p->newest_pair <= (self->history_size > 0 ? self->history_size - 1 : 0))
        return true;
    PyErr_Format(PyExc_ValueError, "progress: pairs and newest_pair must fit a history of %zu, got %llu and %llu",
                 self->history_size, (unsigned long long)p->pairs, (unsigned long long)p->newest_pair);
    return false;
}

PyObject *network_set_state(network_object *self, PyObject *dict) {
    PyArrayObject *parameters = NULL, *optimizer_state = NULL, *history = NULL;
    mlp_progress progress = {0};
    bool ok = false;
    size_t n_state;
    if (!ready(self)) return NULL;
    if (!PyDict_Check(dict)) {
        PyErr_Format(PyExc_TypeError, "state must be a dict, got %s", Py_TYPE(dict)->tp_name);
        return NULL;
    }
    if (!lock_write(self, "state")) return NULL;
    size_t n_parameters = mlp_n_parameters(self->net),
           item_size = self->typenum == NPY_FLOAT ? sizeof(float) : sizeof(double);
    PyObject *fields = PyDict_GetItemString(dict, "progress");
    Py_XINCREF(fields);
    /* Sizes are checked last: until then, what is asked for a number may run code that changes an array. */
    if (!get_fields("progress", progress_fields, fields == NULL ? Py_None : fields, true, &progress) ||
        !check_pairs(self, &progress) || (parameters = get_floats(self, dict, "parameters", self->typenum)) == NULL ||
        (optimizer_state = get_floats(self, dict, "optimizer_state", self->typenum)) == NULL ||
        (history = get_floats(self, dict, "history", NPY_DOUBLE)) == NULL ||
        !check_length(parameters, n_parameters, "parameters")) {
        goto done;
    }
    if (PyArray_NDIM(history) != 2 || PyArray_DIM(history, 0) != 3) {
        PyErr_SetString(PyExc_ValueError, "history must have shape (3, n_epochs)");
        goto done;
    }
    size_t n_epochs = (size_t)PyArray_DIM(history, 1);
    if (!mlp_history_reserve(self->net, n_epochs)) {
        PyErr_NoMemory();
        goto done;
    }
    if (PyArray_NDIM(optimizer_state) == 1) {
        const char *wrong = mlp_resize_state(self->net, (size_t)PyArray_DIM(optimizer_state, 0));
        if (wrong != NULL && strcmp(wrong, MLP_NO_MEMORY_FOR_STATE) == 0) {
            PyErr_NoMemory();
            goto done;
        }
    }
    void *state = mlp_optimizer_state(self->net, &n_state);
    if (!check_length(optimizer_state, n_state, "optimizer_state")) goto done;
    mlp_reset(self->net);
    const double *rows = PyArray_DATA(history);
    for (size_t i = 0; i < n_epochs; i++) { /* there is room */
        mlp_history_append(self->net, rows[i], rows[n_epochs + i], rows[2 * n_epochs + i]);
    }
    memcpy(mlp_parameters(self->net), PyArray_DATA(parameters), n_parameters * item_size);
    if (n_state > 0) memcpy(state, PyArray_DATA(optimizer_state), n_state * item_size);
    *mlp_progress_of(self->net) = progress;
    ok = true;
done:
    unlock_write(self);
    Py_XDECREF(fields);
    Py_XDECREF(history);
    Py_XDECREF(optimizer_state);
    Py_XDECREF(parameters);
    return none_if(ok);
}
