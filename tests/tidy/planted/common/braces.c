/* braces.c - ends before it is done. */
int braces(void) {
