/* parameters.c - asks for six things at once. */
int six(int a, int b, int c, int d, int e, int f) {
    return a + b + c + d + e + f;
}
