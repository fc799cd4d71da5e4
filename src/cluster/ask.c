/* ask.c - asks many running nodes at once over their control sockets. */
#include "src/cluster/ask.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/mem.h"

struct question {
    struct question *next;
    struct question *previous;
    struct asker *asker;
    CURL *curl;
    char *body;
    struct buf text;
    bool is_too_long;
    asker_fn *done;
    void *context;
};

struct asker {
    CURLM *multi;
    struct question *first;
    uint32_t open;
};

struct asker *asker_new(void) {
    struct asker *asker = mem_new(sizeof *asker);
    asker->multi = curl_multi_init();
    CHECK(asker->multi != NULL);
    return asker;
}

static void remove_question(struct question *question) {
    struct asker *asker = question->asker;
    if (question->previous != NULL) {
        question->previous->next = question->next;
    } else {
        asker->first = question->next;
    }
    if (question->next != NULL) {
        question->next->previous = question->previous;
    }
    asker->open--;
    curl_multi_remove_handle(asker->multi, question->curl);
    curl_easy_cleanup(question->curl);
    buf_free(&question->text);
    free(question->body);
    mem_free(question);
}

uint32_t asker_open(const struct asker *asker) {
    return asker->open;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
    struct question *question = context;
    size_t len = size * count;
    if (question->text.len + len > ASK_ANSWER_BYTES_MAX) {
        question->is_too_long = true;
        return CURL_WRITEFUNC_ERROR;
    }
    buf_append(&question->text, bytes, len);
    return len;
}

void asker_start(struct asker *asker, const struct ask *ask, asker_fn *done, void *context) {
    char url[128], path[512];
    struct question *question = mem_new(sizeof *question);
    question->asker = asker;
    question->done = done;
    question->context = context;
    question->body = ask->args != NULL ? json_dumps(ask->args, JSON_COMPACT) : strdup("{}");
    question->curl = curl_easy_init();
    CHECK(question->curl != NULL && question->body != NULL);
    snprintf(url, sizeof url, "http://localhost/v1/%s", ask->command);
    snprintf(path, sizeof path, "%s/control.sock", ask->state_dir);
    curl_easy_setopt(question->curl, CURLOPT_URL, url);
    curl_easy_setopt(question->curl, CURLOPT_UNIX_SOCKET_PATH, path);
    curl_easy_setopt(question->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(question->curl, CURLOPT_NOSIGNAL, 1L);
    /* Kept for later, connections would look like descriptors that the nodes lose. */
    curl_easy_setopt(question->curl, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(question->curl, CURLOPT_TIMEOUT_MS, (long)ask->timeout_ms);
    curl_easy_setopt(question->curl, CURLOPT_POSTFIELDS, question->body);
    curl_easy_setopt(question->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(question->curl, CURLOPT_WRITEDATA, question);
    curl_easy_setopt(question->curl, CURLOPT_PRIVATE, question);
    question->next = asker->first;
    if (asker->first != NULL) {
        asker->first->previous = question;
    }
    asker->first = question;
    asker->open++;
    CHECK(curl_multi_add_handle(asker->multi, question->curl) == CURLM_OK);
}

static enum err err_of_name(const char *name) {
    for (int i = 1; i < ERR_COUNT; i++) {
        if (strcmp(err_name((enum err)i), name) == 0) {
            return (enum err)i;
        }
    }
    return ERR_FORMAT;
}

/* Put the lines' objects into the array. OK when the answer is whole and good. */
static enum err read_lines(char *text, json_t *answer) {
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        json_t *object = line[0] == '\0' ? NULL : json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        const char *kind = json_string_value(json_object_get(object, "kind"));
        if (line[0] != '\0' && kind == NULL) {
            json_decref(object);
            return ERR_FORMAT;
        }
        bool is_end = kind != NULL && strcmp(kind, "done") == 0;
        if (kind != NULL && strcmp(kind, "error") == 0) {
            const char *name = json_string_value(json_object_get(object, "error"));
            enum err err = err_of_name(name == NULL ? "" : name);
            json_array_append_new(answer, object);
            return err;
        }
        if (is_end) {
            json_decref(object);
            return OK;
        }
        if (object != NULL) {
            json_array_append_new(answer, object);
        }
    }
    return ERR_CLOSED;
}

static enum err outcome(struct question *question, CURLcode code, json_t *answer) {
    buf_u8(&question->text, 0);
    enum err err = read_lines((char *)question->text.data, answer);
    if (question->is_too_long) {
        return ERR_LIMIT;
    }
    return err == ERR_CLOSED && code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : err;
}

static void end_question(struct question *question, enum err err, const json_t *answer) {
    asker_fn *done = question->done;
    void *context = question->context;
    remove_question(question);
    done(context, err, answer);
}

static void finish(struct question *question, CURLcode code) {
    json_t *answer = json_array();
    enum err err = outcome(question, code, answer);
    end_question(question, err, answer);
    json_decref(answer);
}

void asker_cancel(struct asker *asker) {
    json_t *nothing = json_array();
    while (asker->first != NULL) {
        end_question(asker->first, ERR_SHUTDOWN, nothing);
    }
    json_decref(nothing);
}

void asker_free(struct asker *asker) {
    if (asker != NULL) {
        asker_cancel(asker);
        curl_multi_cleanup(asker->multi);
        mem_free(asker);
    }
}

void asker_step(struct asker *asker, int wait_ms) {
    int running = 0, left;
    curl_multi_poll(asker->multi, NULL, 0, wait_ms, NULL);
    curl_multi_perform(asker->multi, &running);
    CURLMsg *message;
    while ((message = curl_multi_info_read(asker->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            struct question *question;
            CURLcode code = message->data.result;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &question);
            finish(question, code);
        }
    }
}
