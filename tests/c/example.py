"""Print the example at the top of a header as a program: its lines in a main() that checks the result."""

import sys
from pathlib import Path

INDENT = " *     "
lines = Path(sys.argv[1]).read_text().splitlines()
start = lines.index(INDENT + '#include "mlp.h"')
length = next(i for i, line in enumerate(lines[start:]) if line != " *" and not line.startswith(INDENT))
include, _, *body, _ = [line.removeprefix(INDENT).removeprefix(" *") for line in lines[start : start + length]]

print(include, "#include <math.h>", "#include <stdio.h>", "", "int main(void) {", sep="\n")
print(*(f"    {line}".rstrip() for line in body), sep="\n")
print("""
    double worst = 0;
    for (int i = 0; i < 4; i++) worst = fmax(worst, fabs(out[i] - xor_y[i]));
    printf("status %d, largest error %.3f\\n", (int)status, worst);
    return !(status == MLP_OK && worst < 0.1);
}""")
