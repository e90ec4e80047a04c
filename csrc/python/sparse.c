/* sparse.c: a CSR matrix or array of scipy.sparse as rows of the core, its three arrays in place. Where the pointers
 * begin is checked here; what they and the indices say is the core's to check, whenever it reads them. */
#include "wrapper.h"

static const char *const PARTS[3] = {"data", "indices", "indptr"};

static bool is_index(const PyArrayObject *array) {
    return PyArray_ISSIGNED(array) && (PyArray_ITEMSIZE(array) == 4 || PyArray_ITEMSIZE(array) == 8) &&
           PyArray_ISBEHAVED_RO(array);
}

/* The three arrays, held; their dtypes and lengths, for so many rows. */
static bool get_parts(const char *name, PyObject *const parts[3], size_t n_rows, sparse_parts *sparse) {
    mlp_type type;
    for (int i = 0; i < 3; i++) {
        PyArrayObject *array = sparse->arrays[i] = (PyArrayObject *)Py_NewRef(parts[i]);
        if (PyArray_NDIM(array) != 1) {
            PyErr_Format(PyExc_ValueError, "%s.%s must have one dimension, got %d", name, PARTS[i],
                         PyArray_NDIM(array));
            return false;
        }
        if (i == 0 && !numeric_type(array, &type)) {
            raise_numbers(name, array);
            return false;
        }
        if (i > 0 && !is_index(array)) {
            PyErr_Format(PyExc_TypeError,
                         "%s.%s must be of int32 or int64, aligned and in this machine's byte order, got dtype %S",
                         name, PARTS[i], PyArray_DESCR(array));
            return false;
        }
        sparse->pins[i] = pin(array);
        if (sparse->pins[i] == NULL) return false;
    }
    sparse->csr = (mlp_csr){rows_of(sparse->arrays[0]), rows_of(sparse->arrays[1]), rows_of(sparse->arrays[2])};
    size_t n_values = sparse->csr.values.n_rows, n_indices = sparse->csr.indices.n_rows;
    if (n_values != n_indices) {
        PyErr_Format(PyExc_ValueError, "%s.indices must be as long as %s.data: %zu and %zu", name, name, n_indices,
                     n_values);
        return false;
    }
    if (sparse->csr.pointers.n_rows != n_rows + 1) {
        PyErr_Format(PyExc_ValueError, "%s.indptr must have one element more than %s has rows (%zu), got %zu", name,
                     name, n_rows, sparse->csr.pointers.n_rows);
        return false;
    }
    const void *pointers = PyArray_DATA(sparse->arrays[2]);
    long long first =
        PyArray_ITEMSIZE(sparse->arrays[2]) == 4 ? *(const int32_t *)pointers : *(const int64_t *)pointers;
    if (first != 0) {
        PyErr_Format(PyExc_ValueError, "%s.indptr must begin with 0, got %lld", name, first);
        return false;
    }
    return true;
}

int get_sparse(module_state *state, PyObject *value, const char *name, size_t n_inputs, operand *x) {
    PyObject *csr_parts = helper(&state->csr_parts, "csr_parts");
    PyObject *tuple = csr_parts == NULL ? NULL : PyObject_CallFunction(csr_parts, "Os", value, name);
    PyObject *shape, *parts[3];
    Py_ssize_t n_rows = 0, n_columns = 0;
    int result = -1;
    if (tuple == Py_None) result = 0;
    if (tuple == NULL || tuple == Py_None ||
        !PyArg_ParseTuple(tuple, "O!O!O!O!:csr_parts", &PyTuple_Type, &shape, &PyArray_Type, &parts[0], &PyArray_Type,
                          &parts[1], &PyArray_Type, &parts[2])) {
        goto done;
    }
    if (PyTuple_GET_SIZE(shape) == 2) {
        n_rows = PyLong_AsSsize_t(PyTuple_GET_ITEM(shape, 0));
        n_columns = PyLong_AsSsize_t(PyTuple_GET_ITEM(shape, 1));
        if (PyErr_Occurred()) goto done;
    }
    if (n_columns < 0 || (size_t)n_columns != n_inputs) {
        raise_shape(name, PyUnicode_FromFormat("(n_samples, %zu)", n_inputs), Py_NewRef(shape), "");
        goto done;
    }
    if (n_rows < 1) {
        PyErr_Format(PyExc_ValueError, "%s must have at least one row, got shape %S", name, shape);
        goto done;
    }
    x->sparse = PyMem_Calloc(1, sizeof *x->sparse);
    if (x->sparse == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    if (!get_parts(name, parts, (size_t)n_rows, x->sparse)) goto done;
    x->rows =
        (mlp_rows){.data = &x->sparse->csr, .type = MLP_CSR, .n_rows = (size_t)n_rows, .n_columns = (size_t)n_columns};
    result = 1;
done:
    Py_XDECREF(tuple);
    return result;
}

void release_sparse(operand *x) {
    if (x->sparse == NULL) return;
    for (int i = 2; i >= 0; i--) {
        Py_XDECREF(x->sparse->pins[i]);
        Py_XDECREF(x->sparse->arrays[i]);
    }
    PyMem_Free(x->sparse);
    x->sparse = NULL;
}
