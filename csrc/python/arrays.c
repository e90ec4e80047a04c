/* arrays.c: array arguments as rows of the core, in place whatever their strides, alignment, byte order or numeric
 * dtype, and new arrays for results. Shapes and dtypes are checked here; values are the core's to check. */
#include "wrapper.h"

const char *const TRAINING_NAMES[3] = {"X", "y", "sample_weight"};
const char *const VALIDATION_NAMES[3] = {"validation_data[0]", "validation_data[1]", "validation_data[2]"};

/* The core's type for a dtype; false where it has none. */
static bool numeric_type(const PyArrayObject *array, mlp_type *type) {
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

/* Python's helper knows lists, frames and what else there is; it is imported late because it lives in this package. */
static PyObject *convert(module_state *state, PyObject *value, const char *name) {
    if (state->as_array == NULL) {
        PyObject *module = PyImport_ImportModule("mlpc._arrays");
        if (module == NULL) return NULL;
        PyObject *as_array = PyObject_GetAttrString(module, "as_array");
        Py_DECREF(module);
        if (as_array == NULL) return NULL;
        Py_XSETREF(state->as_array, as_array);
    }
    PyObject *array = PyObject_CallFunction(state->as_array, "Os", value, name);
    if (array != NULL && !PyArray_Check(array)) {
        PyErr_Format(PyExc_TypeError, "%s must be an array of numbers, got %s", name, Py_TYPE(value)->tp_name);
        Py_CLEAR(array);
    }
    return array;
}

PyArrayObject *as_numbers(module_state *state, PyObject *value, const char *name) {
    mlp_type type;
    PyArrayObject *array;
    if (PyArray_CheckExact(value) || PyObject_TypeCheck(value, state->memmap)) {
        array = (PyArrayObject *)Py_NewRef(value);
    } else {
        array = (PyArrayObject *)convert(state, value, name);
    }
    if (array != NULL && !numeric_type(array, &type)) {
        PyErr_Format(PyExc_TypeError,
                     "%s must hold real numbers (bool, integers, float16, float32 or float64), got dtype %S", name,
                     PyArray_DESCR(array));
        Py_CLEAR(array);
    }
    return array;
}

/* The rows of an array of one or two dimensions; one dimension is one column. */
static mlp_rows rows_of(const PyArrayObject *array) {
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

/* ValueError "NAME must have shape EXPECTED, got SHAPE HINT". */
static void raise_shape(const operand *x, PyObject *expected, const char *hint) {
    PyObject *shape = shape_of(x->array);
    if (expected != NULL && shape != NULL) {
        PyErr_Format(PyExc_ValueError, "%s must have shape %U, got %S%s", x->name, expected, shape, hint);
    }
    Py_XDECREF(shape);
    Py_XDECREF(expected);
}

static bool is_column(const PyArrayObject *array) {
    return PyArray_NDIM(array) == 1 || (PyArray_NDIM(array) == 2 && PyArray_DIM(array, 1) == 1);
}

/* A reference keeps an array, not its buffer: a.resize(n, refcheck=False) moves that as soon as other code may run.
 * NumPy refuses while the array that owns the buffer, the last of the .base chain, has a weak reference. */
static bool pin(operand *x) {
    PyObject *owner = (PyObject *)x->array;
    for (PyObject *next = owner; next != NULL;) {
        if (PyArray_Check(next)) {
            owner = next;
            next = PyArray_BASE((PyArrayObject *)next);
        } else {
            next = PyMemoryView_Check(next) ? PyMemoryView_GET_BUFFER(next)->obj : NULL;
        }
    }
    x->pin = PyWeakref_NewRef(owner, NULL);
    return x->pin != NULL;
}

static bool get_operand(const network_object *self, PyObject *value, const char *name, operand *x) {
    *x = (operand){.name = name, .array = as_numbers(self->state, value, name)};
    return x->array != NULL && pin(x);
}

bool get_x(const network_object *self, PyObject *value, const char *name, operand *x) {
    if (!get_operand(self, value, name, x)) return false;
    size_t n_inputs = self->layer_sizes[0];
    int n_dimensions = PyArray_NDIM(x->array);
    if (n_dimensions != 2 || (size_t)PyArray_DIM(x->array, 1) != n_inputs) {
        const char *hint = n_dimensions != 1                              ? ""
                           : n_inputs == 1                                ? ": reshape(-1, 1) makes it one column"
                           : (size_t)PyArray_DIM(x->array, 0) == n_inputs ? ": reshape(1, -1) makes it one row"
                                                                          : "";
        raise_shape(x, PyUnicode_FromFormat("(n_samples, %zu)", n_inputs), hint);
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
    if (!get_operand(self, value, name, y)) return false;
    size_t n_outputs = self->layer_sizes[self->n_layers];
    bool column = is_column(y->array), by_label = self->predicts == CATEGORICAL_LABELS;
    bool full = PyArray_NDIM(y->array) == 2 && (size_t)PyArray_DIM(y->array, 1) == n_outputs;
    if (!full && !(column && (n_outputs == 1 || by_label || self->one_target))) {
        raise_shape(y,
                    n_outputs == 1                 ? PyUnicode_FromString("(n_samples,) or (n_samples, 1)")
                    : by_label || self->one_target ? PyUnicode_FromFormat("(n_samples,) or (n_samples, %zu)", n_outputs)
                                                   : PyUnicode_FromFormat("(n_samples, %zu)", n_outputs),
                    "");
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
    if (!get_operand(self, value, name, weight)) return false;
    if (!is_column(weight->array)) {
        raise_shape(weight, PyUnicode_FromString("(n_samples,)"), "");
        return false;
    }
    weight->rows = rows_of(weight->array);
    return same_length(&data->x, weight);
}

/* On failure too, release_data gives back what was got. */
bool get_data(const network_object *self, PyObject *const values[3], const char *const names[3], operands *data) {
    *data = (operands){0};
    bool ok = get_x(self, values[0], names[0], &data->x) && get_y(self, values[1], names[1], data) &&
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
        raise_shape(&(operand){.name = "class_weight", .array = data->class_weight},
                    PyUnicode_FromFormat("(%zd,)", (Py_ssize_t)n_classes), "");
        return false;
    }
    data->data.class_weight = PyArray_DATA(data->class_weight);
    return true;
}

bool get_vector(const network_object *self, PyObject *value, const char *name, operand *vector) {
    size_t n = mlp_n_parameters(self->net);
    *vector = (operand){.name = name, .array = as_numbers(self->state, value, name)};
    if (vector->array == NULL) return false;
    if (PyArray_NDIM(vector->array) != 1 || (size_t)PyArray_DIM(vector->array, 0) != n) {
        raise_shape(vector, PyUnicode_FromFormat("(%zu,)", n), "");
        return false;
    }
    PyArray_Descr *descr = PyArray_DescrFromType(self->typenum);
    PyObject *converted = PyArray_FromArray(vector->array, descr, NPY_ARRAY_CARRAY_RO | NPY_ARRAY_FORCECAST);
    Py_SETREF(vector->array, (PyArrayObject *)converted);
    return converted != NULL && pin(vector);
}

void release(operand *x) {
    Py_CLEAR(x->pin);
    Py_CLEAR(x->array);
}

void release_data(operands *data) {
    Py_CLEAR(data->class_weight);
    release(&data->weight);
    release(&data->y);
    release(&data->x);
}

PyObject *describe_element(const operand *x, size_t row, size_t column) {
    PyObject *value = NULL, *text = NULL;
    bool flat = PyArray_NDIM(x->array) == 1;
    if (row >= x->rows.n_rows) return PyUnicode_FromString(x->name);
    if (column >= x->rows.n_columns) return PyUnicode_FromFormat("%s[%zu]", x->name, row);
    if (!flat && column >= (size_t)PyArray_DIM(x->array, 1)) column = 0; /* one column stands for all */
    char *place =
        PyArray_BYTES(x->array) + (ptrdiff_t)row * x->rows.row_stride + (ptrdiff_t)column * x->rows.column_stride;
    value = PyArray_GETITEM(x->array, place);
    if (value == NULL) return NULL;
    text = flat ? PyUnicode_FromFormat("%s[%zu] is %R", x->name, row, value)
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
