/* arrays.c: array arguments as rows of the core, in place whatever their strides, alignment, byte order or numeric
 * dtype, and new arrays for results. Shapes and dtypes are checked here; values are the core's to check. */
#include "wrapper.h"

const char *const TRAINING_NAMES[3] = {"X", "y", "sample_weight"};
const char *const VALIDATION_NAMES[3] = {"validation_data[0]", "validation_data[1]", "validation_data[2]"};

bool numeric_type(const PyArrayObject *array, mlp_type *type) {
    int typenum = PyArray_TYPE(array), is_unsigned = PyTypeNum_ISUNSIGNED(typenum);
    npy_intp size = PyArray_ITEMSIZE(array);
    if (typenum == NPY_BOOL) {
        *type = MLP_BOOL;
    } else if (is_unsigned || PyTypeNum_ISSIGNED(typenum)) {
        *type = size == 1     ? is_unsigned ? MLP_UINT8 : MLP_INT8
                : size == 2   ? is_unsigned ? MLP_UINT16 : MLP_INT16
                : size == 4   ? is_unsigned ? MLP_UINT32 : MLP_INT32
                : is_unsigned ? MLP_UINT64
                              : MLP_INT64;
    } else if (PyTypeNum_ISFLOAT(typenum) && size <= 8) {
        *type = size == 2 ? MLP_FLOAT16 : size == 4 ? MLP_FLOAT32 : MLP_FLOAT64;
    } else {
        return false;
    }
    return true;
}

/* Python knows lists, frames and what else there is; imported late because it lives in this package. */
PyObject *helper(PyObject **place, const char *name) {
    if (*place == NULL) {
        PyObject *module = PyImport_ImportModule("mlpc._arrays");
        PyObject *function = module == NULL ? NULL : PyObject_GetAttrString(module, name);
        Py_XDECREF(module);
        if (function != NULL) Py_XSETREF(*place, function);
    }
    return *place;
}

static PyObject *convert(module_state *state, PyObject *value, const char *name) {
    PyObject *as_array = helper(&state->as_array, "as_array");
    PyObject *array = as_array == NULL ? NULL : PyObject_CallFunction(as_array, "Os", value, name);
    if (array != NULL && !PyArray_Check(array)) {
        PyErr_Format(PyExc_TypeError, "%s must be an array of numbers, got %s", name, Py_TYPE(value)->tp_name);
        Py_CLEAR(array);
    }
    return array;
}

void raise_numbers(const char *name, const PyArrayObject *array) {
    bool labels = PyArray_ISSTRING(array) && strcmp(name, "y") == 0;
    PyErr_Format(PyExc_TypeError,
                 "%s must hold real numbers (bool, integers, float16, float32 or float64), got dtype %S%s", name,
                 PyArray_DESCR(array), labels ? ": numpy.unique(y, return_inverse=True) numbers labels" : "");
}

/* long double is no type of the core's: its numbers become float64. */
static bool is_plain(const module_state *state, PyObject *value) {
    return (PyArray_CheckExact(value) || PyObject_TypeCheck(value, state->memmap)) &&
           PyArray_TYPE((PyArrayObject *)value) != NPY_LONGDOUBLE;
}

PyArrayObject *as_numbers(module_state *state, PyObject *value, const char *name) {
    mlp_type type;
    PyArrayObject *array = (PyArrayObject *)(is_plain(state, value) ? Py_NewRef(value) : convert(state, value, name));
    if (array != NULL && !numeric_type(array, &type)) {
        raise_numbers(name, array);
        Py_CLEAR(array);
    }
    return array;
}

mlp_rows rows_of(const PyArrayObject *array) {
    bool flat = PyArray_NDIM(array) == 1;
    mlp_rows rows = {
        .data = PyArray_DATA(array),
        .swapped = PyArray_ISBYTESWAPPED(array),
        .n_rows = (size_t)PyArray_DIM(array, 0),
        .n_columns = flat ? 1 : (size_t)PyArray_DIM(array, 1),
        .row_stride = PyArray_STRIDE(array, 0),
        .column_stride = flat ? 0 : PyArray_STRIDE(array, 1),
    };
    numeric_type(array, &rows.type);
    return rows;
}

static PyObject *shape_of(const PyArrayObject *array) {
    return PyArray_IntTupleFromIntp(PyArray_NDIM(array), PyArray_DIMS(array));
}

void raise_shape(const char *name, PyObject *expected, PyObject *shape, const char *hint) {
    if (expected != NULL && shape != NULL) {
        PyErr_Format(PyExc_ValueError, "%s must have shape %U, got %S%s", name, expected, shape, hint);
    }
    Py_XDECREF(shape);
    Py_XDECREF(expected);
}

static bool is_column(const PyArrayObject *array) {
    return PyArray_NDIM(array) == 1 || (PyArray_NDIM(array) == 2 && PyArray_DIM(array, 1) == 1);
}

/* A reference keeps an array, not its buffer: a.resize(n, refcheck=False) moves that as soon as other code may run.
 * NumPy refuses while the array that owns the buffer, the last of the .base chain, has a weak reference. */
PyObject *pin(PyArrayObject *array) {
    PyObject *owner = NULL, *held = NULL; /* a .base may be made anew each time */
    for (PyObject *next = (PyObject *)array; next != NULL;) {
        if (PyArray_Check(next)) {
            Py_XSETREF(owner, Py_NewRef(next));
            next = PyArray_BASE((PyArrayObject *)next);
        } else if (PyMemoryView_Check(next)) {
            next = PyMemoryView_GET_BUFFER(next)->obj;
        } else { /* as_strided puts an object between its view and the array */
            PyObject *base = PyObject_GetAttrString(next, "base");
            if (base == NULL) PyErr_Clear();
            next = base != NULL && base != owner && PyArray_Check(base) ? base : NULL;
            Py_XSETREF(held, base);
        }
    }
    PyObject *pin = PyWeakref_NewRef(owner, NULL);
    Py_XDECREF(held);
    Py_DECREF(owner);
    return pin;
}

static bool hold(operand *x) {
    x->pin = pin(x->array);
    return x->pin != NULL;
}

static bool get_operand(const network_object *self, PyObject *value, const char *name, operand *x) {
    *x = (operand){.name = name, .array = as_numbers(self->state, value, name)};
    return x->array != NULL;
}

bool get_x(const network_object *self, PyObject *value, const char *name, bool for_now, operand *x) {
    size_t n_inputs = self->layer_sizes[0];
    *x = (operand){.name = name};
    if (!is_plain(self->state, value)) {
        int sparse = get_sparse(self->state, value, name, n_inputs, x);
        if (sparse != 0) return sparse > 0;
    }
    if (!get_operand(self, value, name, x)) return false;
    size_t n_rows = PyArray_NDIM(x->array) > 0 ? (size_t)PyArray_DIM(x->array, 0) : 0;
    for_now = for_now && !is_long(mlp_work(self->net, n_rows, false));
    if (!for_now && !hold(x)) return false;
    int n_dimensions = PyArray_NDIM(x->array);
    if (n_dimensions != 2 || (size_t)PyArray_DIM(x->array, 1) != n_inputs) {
        const char *hint = n_dimensions != 1                              ? ""
                           : n_inputs == 1                                ? ": reshape(-1, 1) makes it one column"
                           : (size_t)PyArray_DIM(x->array, 0) == n_inputs ? ": reshape(1, -1) makes it one row"
                                                                          : "";
        raise_shape(name, PyUnicode_FromFormat("(n_samples, %zu)", n_inputs), shape_of(x->array), hint);
        return false;
    }
    x->rows = rows_of(x->array);
    if (x->rows.n_rows == 0) {
        PyErr_Format(PyExc_ValueError, "%s must have at least one row, got shape (0, %zu)", name, n_inputs);
        return false;
    }
    return true;
}

static bool same_length(const operand *x, const operand *other) {
    if (x->rows.n_rows == other->rows.n_rows) return true;
    PyErr_Format(PyExc_ValueError, "%s must have one row for each row of %s: %zu and %zu", other->name, x->name,
                 other->rows.n_rows, x->rows.n_rows);
    return false;
}

static bool get_y(const network_object *self, PyObject *value, const char *name, operands *data) {
    operand *y = &data->y;
    if (!get_operand(self, value, name, y) || !hold(y)) return false;
    size_t n_outputs = self->layer_sizes[self->n_layers];
    bool column = is_column(y->array), by_label = self->predicts == CATEGORICAL_LABELS;
    bool full = PyArray_NDIM(y->array) == 2 && (size_t)PyArray_DIM(y->array, 1) == n_outputs;
    if (!full && !(column && (n_outputs == 1 || by_label || self->one_target))) {
        bool labels = column && self->predicts == BINARY_LABELS;
        raise_shape(name,
                    n_outputs == 1                 ? PyUnicode_FromString("(n_samples,) or (n_samples, 1)")
                    : by_label || self->one_target ? PyUnicode_FromFormat("(n_samples,) or (n_samples, %zu)", n_outputs)
                                                   : PyUnicode_FromFormat("(n_samples, %zu)", n_outputs),
                    shape_of(y->array), labels ? ": one label a row is for 'categorical_cross_entropy'" : "");
        return false;
    }
    y->rows = rows_of(y->array);
    data->data.labels = by_label && column;
    if (self->one_target && column) {
        y->rows.n_columns = n_outputs;
        y->rows.column_stride = 0;
    }
    return same_length(&data->x, y);
}

static bool get_weight(const network_object *self, PyObject *value, const char *name, operands *data) {
    operand *weight = &data->weight;
    if (!get_operand(self, value, name, weight) || !hold(weight)) return false;
    if (!is_column(weight->array)) {
        raise_shape(name, PyUnicode_FromString("(n_samples,)"), shape_of(weight->array), "");
        return false;
    }
    weight->rows = rows_of(weight->array);
    return same_length(&data->x, weight);
}

/* On failure too, release_data gives back what was got. */
bool get_data(const network_object *self, PyObject *const values[3], const char *const names[3], operands *data) {
    *data = (operands){0};
    bool ok = get_x(self, values[0], names[0], false, &data->x) && get_y(self, values[1], names[1], data) &&
              (values[2] == NULL || values[2] == Py_None || get_weight(self, values[2], names[2], data));
    data->data.x = data->x.rows;
    data->data.y = data->y.rows;
    data->data.weight = data->weight.rows;
    return ok;
}

bool get_class_weight(const network_object *self, PyObject *value, operands *data) {
    size_t n_outputs = self->layer_sizes[self->n_layers];
    if (!data->data.labels && !(self->predicts == BINARY_LABELS && n_outputs == 1)) {
        PyErr_SetString(PyExc_ValueError, "class_weight needs one binary output, or one label for each row of y");
        return false;
    }
    PyArrayObject *array = as_numbers(self->state, value, "class_weight");
    if (array == NULL) return false;
    PyArray_Descr *descr = PyArray_DescrFromType(NPY_DOUBLE);
    data->class_weight = (PyArrayObject *)PyArray_FromArray(array, descr, NPY_ARRAY_CARRAY | NPY_ARRAY_ENSURECOPY);
    Py_DECREF(array);
    if (data->class_weight == NULL) return false;
    npy_intp n_classes = data->data.labels ? (npy_intp)n_outputs : 2;
    if (PyArray_NDIM(data->class_weight) != 1 || PyArray_DIM(data->class_weight, 0) != n_classes) {
        raise_shape("class_weight", PyUnicode_FromFormat("(%zd,)", (Py_ssize_t)n_classes), shape_of(data->class_weight),
                    "");
        return false;
    }
    data->data.class_weight = PyArray_DATA(data->class_weight);
    return true;
}

bool get_vector(const network_object *self, PyObject *value, const char *name, operand *vector) {
    size_t n = mlp_n_parameters(self->net);
    *vector = (operand){.name = name, .array = as_numbers(self->state, value, name)};
    if (vector->array == NULL || !hold(vector)) return false; /* before it is looked at: converting it may run code */
    if (PyArray_NDIM(vector->array) != 1 || (size_t)PyArray_DIM(vector->array, 0) != n) {
        raise_shape(name, PyUnicode_FromFormat("(%zu,)", n), shape_of(vector->array), "");
        return false;
    }
    PyArray_Descr *descr = PyArray_DescrFromType(self->typenum);
    PyObject *converted = NULL;
    if (PyArray_TYPE(vector->array) == self->typenum) {
        converted = PyArray_FromArray(vector->array, descr, NPY_ARRAY_CARRAY_RO);
    } else { /* by a function that lets numbers overflow without a warning */
        PyObject *as_floats = helper(&self->state->as_floats, "as_floats");
        if (as_floats != NULL) converted = PyObject_CallFunctionObjArgs(as_floats, vector->array, descr, NULL);
        Py_DECREF(descr);
    }
    Py_SETREF(vector->array, (PyArrayObject *)converted);
    return converted != NULL; /* the same array, or one that nobody else has */
}

void release(operand *x) {
    release_sparse(x);
    Py_CLEAR(x->pin);
    Py_CLEAR(x->array);
}

void release_data(operands *data) {
    Py_CLEAR(data->class_weight);
    release(&data->weight);
    release(&data->y);
    release(&data->x);
}

/* x[row, column], where one column stands for all. */
static PyObject *element_of(const operand *x, size_t row, size_t column) {
    if (x->sparse != NULL) return PyFloat_FromDouble(mlp_element(&x->rows, row, column));
    if (PyArray_NDIM(x->array) == 2 && column >= (size_t)PyArray_DIM(x->array, 1)) column = 0;
    return PyArray_GETITEM(x->array, PyArray_BYTES(x->array) + (ptrdiff_t)row * x->rows.row_stride +
                                         (ptrdiff_t)column * x->rows.column_stride);
}

PyObject *describe_element(const operand *x, size_t row, size_t column) {
    if (row >= x->rows.n_rows) return PyUnicode_FromString(x->name);
    if (column >= x->rows.n_columns) return PyUnicode_FromFormat("%s[%zu]", x->name, row);
    PyObject *value = element_of(x, row, column);
    if (value == NULL) return NULL;
    bool flat = x->sparse == NULL && PyArray_NDIM(x->array) == 1;
    PyObject *text = flat ? PyUnicode_FromFormat("%s[%zu] is %R", x->name, row, value)
                          : PyUnicode_FromFormat("%s[%zu, %zu] is %R", x->name, row, column, value);
    Py_DECREF(value);
    return text;
}

PyArrayObject *new_vector(size_t n, int typenum) {
    return (PyArrayObject *)PyArray_SimpleNew(1, &(npy_intp){(npy_intp)n}, typenum);
}

PyArrayObject *new_matrix(size_t n_rows, size_t n_columns, int typenum) {
    npy_intp shape[2] = {(npy_intp)n_rows, (npy_intp)n_columns};
    return (PyArrayObject *)PyArray_SimpleNew(2, shape, typenum);
}

PyArrayObject *copy_of(const void *values, size_t n, int typenum) {
    PyArrayObject *copy = new_vector(n, typenum);
    if (copy != NULL && n > 0) memcpy(PyArray_DATA(copy), values, n * (size_t)PyArray_ITEMSIZE(copy));
    return copy;
}
