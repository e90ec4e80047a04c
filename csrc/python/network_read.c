/* network_read.c: the methods that read a network: outputs, labels, hidden activations, objectives and gradients, the
 * records of a backward pass. They are readers while the core computes, not while Python code may run. */
#include "wrapper.h"

/* method(X, *, option=value): the two arguments of the methods called most often, option NULL where there is none. */
static bool parse(const char *method, const char *option, PyObject *const *args, Py_ssize_t n_args, PyObject *names,
                  PyObject **x, PyObject **value) {
    *x = n_args > 0 ? args[0] : NULL;
    if (n_args > 1) {
        PyErr_Format(PyExc_TypeError, "%s() takes 1 positional argument, got %zd", method, n_args);
        return false;
    }
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        if (n_args == 0 && PyUnicode_CompareWithASCIIString(name, "X") == 0) {
            *x = args[n_args + i];
        } else if (option != NULL && PyUnicode_CompareWithASCIIString(name, option) == 0) {
            *value = args[n_args + i];
        } else {
            PyErr_Format(PyExc_TypeError, "%s() got an unexpected argument '%U'", method, name);
            return false;
        }
    }
    if (*x == NULL) PyErr_Format(PyExc_TypeError, "%s() is missing its argument X", method);
    return *x != NULL;
}

/* What may be asked of one pass forward; the arrays are new and belong to the caller. */
typedef struct {
    void *input;        /* A[0], or NULL */
    void **activations; /* [L], as mlp_forward takes it; or labels and thresholds, as mlp_predict takes them */
    int64_t *labels;
    const double *thresholds;
} wanted_outputs;

static bool run_forward(network_object *self, const char *method, operand *x, const wanted_outputs *wanted) {
    call c;
    if (!lock_read(self, method)) return false;
    begin_call(&c, self, mlp_work(self->net, x->rows.n_rows, false), 0);
    mlp_status status = MLP_OK;
    if (wanted->input != NULL) status = mlp_input(self->net, wanted->input, &x->rows, &c.core);
    if (status == MLP_OK && wanted->labels != NULL) {
        status = mlp_predict(self->net, wanted->labels, wanted->thresholds, &x->rows, &c.core);
    } else if (status == MLP_OK) {
        status = mlp_forward(self->net, wanted->activations, &x->rows, &c.core);
    }
    end_call(&c);
    unlock_read(self);
    if (status != MLP_OK) raise_status(status, &c, &(operands){.x = *x}, NULL);
    return status == MLP_OK;
}

/* A[layer] of X as a new array; flat: (n,) where the layer has one unit. */
static PyObject *propagate(network_object *self, const char *method, PyObject *value, size_t layer, bool flat) {
    operand x = {0};
    PyArrayObject *result = NULL;
    void **activations = PyMem_Calloc(self->n_layers, sizeof *activations);
    if (activations == NULL) {
        PyErr_NoMemory();
    } else if (get_x(self, value, "X", true, &x)) {
        size_t n_units = self->layer_sizes[layer];
        result = flat && n_units == 1 ? new_vector(x.rows.n_rows, self->typenum)
                                      : new_matrix(x.rows.n_rows, n_units, self->typenum);
        if (result != NULL) {
            activations[layer - 1] = PyArray_DATA(result);
            if (!run_forward(self, method, &x, &(wanted_outputs){.activations = activations})) Py_CLEAR(result);
        }
    }
    release(&x);
    PyMem_Free(activations);
    return (PyObject *)result;
}

static PyObject *outputs(network_object *self, const char *method, PyObject *const *args, Py_ssize_t n_args,
                         PyObject *names) {
    PyObject *x;
    if (!ready(self) || !parse(method, NULL, args, n_args, names, &x, NULL)) return NULL;
    return propagate(self, method, x, self->n_layers, false);
}

PyObject *network_predict_proba(network_object *self, PyObject *const *args, Py_ssize_t n_args, PyObject *names) {
    return outputs(self, "predict_proba", args, n_args, names);
}

PyObject *network_forward(network_object *self, PyObject *const *args, Py_ssize_t n_args, PyObject *names) {
    return outputs(self, "forward", args, n_args, names);
}

/* thresholds [K] from a number, or a sequence of one per output. */
static bool get_thresholds(const network_object *self, PyObject *value, double *thresholds) {
    size_t n_outputs = self->layer_sizes[self->n_layers];
    PyArrayObject *array = NULL, *numbers = NULL;
    bool ok = false, is_bool = value != NULL && (PyBool_Check(value) || PyArray_IsScalar(value, Bool));
    if (value == NULL || (PyLong_Check(value) && !is_bool) || PyFloat_Check(value) ||
        PyArray_IsScalar(value, Floating) || PyArray_IsScalar(value, Integer)) {
        thresholds[0] = value == NULL ? 0.5 : PyFloat_AsDouble(value);
        if (thresholds[0] == -1.0 && PyErr_Occurred()) PyErr_Clear(); /* too large an integer; -1 is as wrong */
        for (size_t k = 1; k < n_outputs; k++) thresholds[k] = thresholds[0];
    } else {
        if (!is_bool && (numbers = as_numbers(self->state, value, "threshold")) == NULL) goto done;
        if (is_bool || PyArray_ISBOOL((PyArrayObject *)numbers)) {
            PyErr_Format(PyExc_TypeError, "threshold must be a number, or %zu of them, got %R", n_outputs, value);
            goto done;
        }
        array = (PyArrayObject *)PyArray_FromArray(numbers, PyArray_DescrFromType(NPY_DOUBLE), NPY_ARRAY_CARRAY_RO);
        if (array == NULL) goto done;
        bool one = PyArray_NDIM(array) == 0;
        if (!one && (PyArray_NDIM(array) != 1 || (size_t)PyArray_DIM(array, 0) != n_outputs)) {
            PyErr_Format(PyExc_ValueError, "threshold must be a number, or %zu of them, got %R", n_outputs, value);
            goto done;
        }
        const double *given = PyArray_DATA(array);
        for (size_t k = 0; k < n_outputs; k++) thresholds[k] = given[one ? 0 : k];
    }
    for (size_t k = 0; k < n_outputs; k++) {
        if (!(thresholds[k] >= 0 && thresholds[k] <= 1)) { /* nan included */
            PyErr_Format(PyExc_ValueError, "threshold must be in [0, 1], got %R", value);
            goto done;
        }
    }
    ok = true;
done:
    Py_XDECREF(array);
    Py_XDECREF(numbers);
    return ok;
}

PyObject *network_predict(network_object *self, PyObject *const *args, Py_ssize_t n_args, PyObject *names) {
    static const char method[] = "predict";
    PyObject *value, *threshold = NULL;
    if (!ready(self) || !parse(method, "threshold", args, n_args, names, &value, &threshold)) return NULL;
    size_t n_outputs = self->layer_sizes[self->n_layers];
    bool flat = n_outputs == 1 || self->predicts == CATEGORICAL_LABELS;
    operand x = {0};
    PyArrayObject *result = NULL;
    double *thresholds = PyMem_New(double, n_outputs);
    if (thresholds == NULL) PyErr_NoMemory();
    bool ok = thresholds != NULL && get_thresholds(self, threshold, thresholds);
    if (ok && self->predicts == OUTPUTS) {
        result = (PyArrayObject *)propagate(self, method, value, self->n_layers, true);
    } else if (ok && get_x(self, value, "X", true, &x)) {
        result = flat ? new_vector(x.rows.n_rows, NPY_INT64) : new_matrix(x.rows.n_rows, n_outputs, NPY_INT64);
        wanted_outputs wanted = {.labels = result == NULL ? NULL : PyArray_DATA(result), .thresholds = thresholds};
        if (result != NULL && !run_forward(self, method, &x, &wanted)) Py_CLEAR(result);
    }
    release(&x);
    PyMem_Free(thresholds);
    return (PyObject *)result;
}

PyObject *network_transform(network_object *self, PyObject *const *args, Py_ssize_t n_args, PyObject *names) {
    static const char method[] = "transform";
    PyObject *x, *value = NULL;
    if (!ready(self) || !parse(method, "layer", args, n_args, names, &x, &value)) return NULL;
    Py_ssize_t n_hidden = (Py_ssize_t)self->n_layers - 1, layer = -1;
    if (value != NULL) {
        bool is_bool = PyBool_Check(value) || PyArray_IsScalar(value, Bool); /* older NumPy takes its own for numbers */
        layer = is_bool ? 0 : PyNumber_AsSsize_t(value, NULL);
        bool failed = layer == -1 && PyErr_Occurred() != NULL;
        if (is_bool || (failed && PyErr_ExceptionMatches(PyExc_TypeError))) {
            PyErr_Format(PyExc_ValueError, "layer must be a whole number, got %R", value);
            return NULL;
        }
        if (failed) return NULL;
    }
    if (n_hidden == 0) {
        PyErr_SetString(PyExc_ValueError,
                        "layer: this network has no hidden layer, so there is nothing to transform to");
        return NULL;
    }
    if (layer == 0 || layer > n_hidden || layer < -n_hidden) {
        PyErr_Format(PyExc_ValueError, "layer must be a hidden layer, 1 to %zd or -%zd to -1, got %R", n_hidden,
                     n_hidden, value);
        return NULL;
    }
    return propagate(self, method, x, (size_t)(layer > 0 ? layer : n_hidden + 1 + layer), false);
}

/* A list of n new objects, taken over; made when they are complete: the garbage collector shows lists to everybody. */
static PyObject *list_of(PyObject **objects, size_t n) {
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; i < n && list != NULL; i++) {
        PyList_SET_ITEM(list, (Py_ssize_t)i, objects[i]);
        objects[i] = NULL;
    }
    return list;
}

static void drop_objects(PyObject **objects, size_t n) {
    for (size_t i = 0; i < n && objects != NULL; i++) Py_XDECREF(objects[i]);
    PyMem_Free(objects);
}

PyObject *network_activations(network_object *self, PyObject *const *args, Py_ssize_t n_args, PyObject *names) {
    static const char method[] = "activations";
    PyObject *value, *result = NULL;
    if (!ready(self) || !parse(method, NULL, args, n_args, names, &value, NULL)) return NULL;
    operand x = {0};
    size_t n_arrays = self->n_layers + 1;
    PyObject **arrays = PyMem_Calloc(n_arrays, sizeof *arrays);
    void **blocks = PyMem_Calloc(n_arrays, sizeof *blocks);
    if (arrays == NULL || blocks == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    if (!get_x(self, value, "X", true, &x)) goto done;
    for (size_t l = 0; l < n_arrays; l++) {
        PyArrayObject *a = new_matrix(x.rows.n_rows, self->layer_sizes[l], self->typenum);
        if (a == NULL) goto done;
        arrays[l] = (PyObject *)a;
        blocks[l] = PyArray_DATA(a);
    }
    wanted_outputs wanted = {.input = blocks[0], .activations = blocks + 1};
    if (run_forward(self, method, &x, &wanted)) result = list_of(arrays, n_arrays);
done:
    drop_objects(arrays, n_arrays);
    release(&x);
    PyMem_Free(blocks);
    return result;
}

PyObject *network_evaluate(network_object *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"X", "y", "sample_weight", "parameters", "want", NULL};
    PyObject *values[3], *parameters, *result = NULL;
    PyArrayObject *gradient = NULL, *input_gradient = NULL, *losses = NULL;
    const char *want;
    double objective = 0;
    if (!ready(self) || !PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOs:_evaluate", names, &values[0], &values[1],
                                                     &values[2], &parameters, &want)) {
        return NULL;
    }
    operands data;
    operand vector = {0};
    mlp_wanted wanted = {.objective = strchr(want, 'o') != NULL ? &objective : NULL};
    if (!get_data(self, values, TRAINING_NAMES, &data)) goto done;
    if (parameters != Py_None && !get_vector(self, parameters, "parameters", &vector)) goto done;
    size_t n_rows = data.x.rows.n_rows;
    if (strchr(want, 'g') != NULL) {
        gradient = new_vector(mlp_n_parameters(self->net), self->typenum);
        if (gradient == NULL) goto done;
        wanted.gradient = PyArray_DATA(gradient);
    }
    if (strchr(want, 'i') != NULL) {
        input_gradient = new_matrix(n_rows, self->layer_sizes[0], self->typenum);
        if (input_gradient == NULL) goto done;
        wanted.input_gradient = PyArray_DATA(input_gradient);
    }
    if (strchr(want, 's') != NULL) {
        losses = new_vector(n_rows, NPY_DOUBLE);
        if (losses == NULL) goto done;
        wanted.sample_losses = PyArray_DATA(losses);
    }
    if (!lock_read(self, "objective or gradient")) goto done;
    call c;
    begin_call(&c, self, mlp_work(self->net, n_rows, gradient != NULL || input_gradient != NULL), 0);
    mlp_status status =
        mlp_evaluate(self->net, &wanted, vector.array == NULL ? NULL : PyArray_DATA(vector.array), &data.data, &c.core);
    end_call(&c);
    unlock_read(self);
    if (status != MLP_OK) {
        raise_status(status, &c, &data, NULL);
        goto done;
    }
    PyObject *number = wanted.objective == NULL ? Py_NewRef(Py_None) : PyFloat_FromDouble(objective);
    if (number == NULL) goto done;
    result = PyTuple_Pack(4, number, gradient == NULL ? Py_None : (PyObject *)gradient,
                          input_gradient == NULL ? Py_None : (PyObject *)input_gradient,
                          losses == NULL ? Py_None : (PyObject *)losses);
    Py_DECREF(number);
done:
    Py_XDECREF(losses);
    Py_XDECREF(input_gradient);
    Py_XDECREF(gradient);
    release(&vector);
    release_data(&data);
    return result;
}

/* New arrays for one layer's record: (Z, A, dA, dZ, dW, db). */
static PyObject *new_record(const network_object *self, size_t n_rows, size_t layer, mlp_record *record) {
    size_t n_in = self->layer_sizes[layer - 1], n_out = self->layer_sizes[layer];
    void **places[6] = {&record->z, &record->a, &record->da, &record->dz, &record->dw, &record->db};
    PyObject *tuple = PyTuple_New(6);
    for (Py_ssize_t i = 0; tuple != NULL && i < 6; i++) {
        PyArrayObject *array =
            i == 5 ? new_vector(n_out, self->typenum) : new_matrix(i == 4 ? n_in : n_rows, n_out, self->typenum);
        if (array == NULL) {
            Py_CLEAR(tuple);
        } else {
            *places[i] = PyArray_DATA(array);
            PyTuple_SET_ITEM(tuple, i, (PyObject *)array);
        }
    }
    return tuple;
}

PyObject *network_backpropagate(network_object *self, PyObject *args, PyObject *kwargs) {
    static const char method[] = "backpropagate";
    static char *names[] = {"X", "y", "sample_weight", NULL};
    PyObject *values[3], **tuples = NULL, *result = NULL;
    if (!ready(self) ||
        !PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:_backpropagate", names, &values[0], &values[1], &values[2])) {
        return NULL;
    }
    operands data;
    mlp_record *records = NULL;
    if (!get_data(self, values, TRAINING_NAMES, &data)) goto done;
    records = PyMem_New(mlp_record, self->n_layers);
    tuples = PyMem_Calloc(self->n_layers, sizeof *tuples);
    if (records == NULL || tuples == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (size_t l = 1; l <= self->n_layers; l++) {
        tuples[l - 1] = new_record(self, data.x.rows.n_rows, l, &records[l - 1]);
        if (tuples[l - 1] == NULL) goto done;
    }
    if (!lock_read(self, method)) goto done;
    call c;
    begin_call(&c, self, mlp_work(self->net, data.x.rows.n_rows, true), 0);
    mlp_status status = mlp_backpropagate(self->net, records, &data.data, &c.core);
    end_call(&c);
    unlock_read(self);
    result = status == MLP_OK ? list_of(tuples, self->n_layers) : raise_status(status, &c, &data, NULL);
done:
    drop_objects(tuples, self->n_layers);
    PyMem_Free(records);
    release_data(&data);
    return result;
}
