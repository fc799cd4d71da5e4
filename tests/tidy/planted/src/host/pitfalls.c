/* pitfalls.c - uses what does not work as it says. */
void pitfalls(struct bufferevent *bev, struct ssl *ssl) {
    bufferevent_ssl_renegotiate(bev);
    SSL_read_early_data(ssl, NULL, 0, NULL);
    bufferevent_setwatermark(bev, EV_WRITE, 1, 0);
    bufferevent_setwatermark(bev, EV_READ | EV_WRITE, 0, 65536);
    my_bufferevent_ssl_renegotiate(bev); /* not bufferevent_ssl_renegotiate */
}
