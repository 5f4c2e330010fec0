#include "out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "csv.h"
#include "opt.h"
#include "utf8.h"

/* clang-format off */
static const char *const words[] = {
	[OUT_TABLE] = "table",
	[OUT_TSV]   = "tsv",
	[OUT_CSV]   = "csv",
	[OUT_JSON]  = "json",
	[OUT_JSONL] = "jsonl",
};
/* clang-format on */

/*
 * A table waits for its first rows, which give the columns their widths: `text`
 * then holds every cell with its NUL; else it holds one row.
 */
#define TABLE_ROWS 1000

struct out {
	FILE *file;
	enum out_format format;
	const struct out_column *columns;
	size_t n;
	size_t *widths;  /* of a table */
	struct buf head; /* of JSON: `{"name":` of each column, with NULs */
	struct buf text;
	size_t rows;    /* of a table: those that wait, with the head */
	bool has_begun; /* a table: the first rows are printed */
	bool failed;
};

int
out_format_from_options(enum out_format *format, struct verr *e)
{
	const char *word = opt_format_word();

	*format = OUT_TABLE;
	if (!word)
		return 0;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i], word) == 0) {
			*format = (enum out_format)i;
			return 0;
		}
	}
	return verr_set(e, VERR_USAGE,
			"unknown format '%s'\n"
			"hint: table, tsv, csv, json or jsonl",
			word);
}

/* A later fflush() has nothing left to fail with. */
static int lost_errno;

void
out_write(FILE *file, const char *data, size_t len)
{
	if (fwrite(data, 1, len, file) != len && !lost_errno)
		lost_errno = errno;
}

bool
out_flush(FILE *file)
{
	errno = 0;
	if (fflush(file) == 0 && !ferror(file))
		return true;
	if (!errno)
		errno = lost_errno;
	return false;
}

bool
out_is_terminal(FILE *file)
{
	const char *no_color = getenv("NO_COLOR");

	return !(no_color && *no_color) && isatty(fileno(file));
}

void
out_line(char sign, const char *text)
{
	const char *color = sign == '+'   ? "\033[32m"
			    : sign == '-' ? "\033[31m"
			    : sign == '~' ? "\033[33m"
					  : NULL;
	struct buf line = BUF_INIT;
	bool colored = color && out_is_terminal(stdout);

	if (colored)
		buf_puts(&line, color);
	utf8_escape(&line, text, strlen(text));
	if (colored)
		buf_puts(&line, "\033[0m");
	buf_putc(&line, '\n');
	out_write(stdout, line.data, line.len);
	buf_release(&line);
}

void
out_json_string(struct buf *b, const char *s, size_t len)
{
	utf8_json(b, s, len);
}

static void
flush_text(struct out *o)
{
	if (buf_failed(&o->text))
		o->failed = true;
	else if (o->text.len)
		out_write(o->file, o->text.data, o->text.len);
	buf_clear(&o->text);
}

void
out_tsv_string(struct buf *b, const char *s)
{
	static const char plain[] = "\t\n\r\\", letter[] = "tnr\\";

	for (size_t run; *s; s += run) {
		run = strcspn(s, plain);
		buf_add(b, s, run);
		if (s[run]) {
			buf_putc(b, '\\');
			buf_putc(b, letter[strchr(plain, s[run]) - plain]);
			run++;
		}
	}
}

static const char *
skip_digits(const char *s)
{
	return s + strspn(s, "0123456789");
}

/* RFC 8259 section 6; "NaN" and "01" are not numbers there. */
static bool
is_json_number(const char *s)
{
	const char *p = s + (*s == '-');

	if (skip_digits(p) == p || (p[0] == '0' && skip_digits(p) > p + 1))
		return false;
	p = skip_digits(p);
	if (*p == '.') {
		if (skip_digits(p + 1) == p + 1)
			return false;
		p = skip_digits(p + 1);
	}
	if (*p == 'e' || *p == 'E') {
		p++;
		p += *p == '+' || *p == '-';
		if (skip_digits(p) == p)
			return false;
		p = skip_digits(p);
	}
	return *p == '\0';
}

static bool
is_true(const char *s)
{
	return strcmp(s, "t") == 0 || strcmp(s, "true") == 0;
}

static void
add_json(struct buf *b, enum out_type type, const char *s)
{
	if (!s || (type == OUT_RAW && !*s)) {
		buf_puts(b, "null");
	} else if (type == OUT_BOOL) {
		buf_puts(b, is_true(s) ? "true" : "false");
	} else if (type == OUT_NUMBER && is_json_number(s)) {
		buf_puts(b, s);
	} else if (type == OUT_RAW) {
		/* A newline outside a string; inside it would be escaped. */
		for (; *s; s++)
			buf_putc(b, *s == '\n' || *s == '\r' ? ' ' : *s);
	} else {
		utf8_json(b, s, strlen(s));
	}
}

static void
row_json(struct out *o, const char *const *values)
{
	const char *head = o->head.data;

	if (buf_failed(&o->head))
		return;
	if (o->format == OUT_JSON)
		buf_puts(&o->text, o->rows ? ",\n" : "[\n");
	for (size_t i = 0; i < o->n; i++) {
		size_t len = strlen(head);

		buf_add(&o->text, head, len);
		add_json(&o->text, o->columns[i].type, values[i]);
		head += len + 1;
	}
	buf_puts(&o->text, o->format == OUT_JSON ? "}" : "}\n");
}

static void
row_separated(struct out *o, const char *const *values)
{
	bool tsv = o->format == OUT_TSV;

	for (size_t i = 0; i < o->n; i++) {
		if (i)
			buf_putc(&o->text, tsv ? '\t' : ',');
		if (values[i] && tsv)
			out_tsv_string(&o->text, values[i]);
		else if (values[i])
			csv_add(&o->text, true, values[i]);
	}
	buf_puts(&o->text, tsv ? "\n" : "\r\n");
}

static void
pad(struct buf *line, size_t n)
{
	while (n--)
		buf_putc(line, ' ');
}

/* What a cell begins with on a terminal; its end is then "\033[0m". */
static const char *
cell_color(const struct out_column *column, const char *cell)
{
	if (column->type != OUT_SEVERITY)
		return NULL;
	if (strcmp(cell, "error") == 0 || strcmp(cell, "failed") == 0)
		return "\033[31m";
	if (strcmp(cell, "ok") == 0)
		return "\033[32m";
	return strcmp(cell, "warning") == 0 ? "\033[33m" : NULL;
}

/* One line of a table, without blanks at its end; returns the next cell. */
static const char *
table_line(const struct out *o, const char *cell, bool terminal,
	   struct buf *line)
{
	for (size_t i = 0; i < o->n; i++) {
		size_t len = strlen(cell);
		size_t width = utf8_width(cell, len);
		size_t gap = width < o->widths[i] ? o->widths[i] - width : 0;
		bool right = o->columns[i].type == OUT_NUMBER;
		const char *color =
			terminal ? cell_color(&o->columns[i], cell) : NULL;

		pad(line, (i ? 2 : 0) + (right ? gap : 0));
		if (color)
			buf_puts(line, color);
		buf_add(line, cell, len);
		if (color)
			buf_puts(line, "\033[0m");
		pad(line, right ? 0 : gap);
		cell += len + 1;
	}
	while (line->len && line->data[line->len - 1] == ' ')
		line->data[--line->len] = '\0';
	return cell;
}

/* Print the rows that wait. */
static void
print_table(struct out *o)
{
	bool terminal = out_is_terminal(o->file);
	bool bold = !o->has_begun && terminal;
	const char *cell = o->text.data;
	struct buf line = BUF_INIT;

	o->failed = o->failed || buf_failed(&o->text);
	for (size_t row = 0; row < o->rows && !o->failed; row++) {
		bool head = bold && row == 0;

		buf_clear(&line);
		cell = table_line(o, cell, terminal, &line);
		if (buf_failed(&line))
			o->failed = true;
		fprintf(o->file, "%s%s%s\n", head ? "\033[1m" : "", line.data,
			head ? "\033[0m" : "");
	}
	buf_release(&line);
	buf_clear(&o->text);
	o->rows = 0;
	o->has_begun = true;
}

static void
row_table(struct out *o, const char *const *values)
{
	for (size_t i = 0; i < o->n; i++) {
		const char *s = values[i] ? values[i] : "";
		size_t start = o->text.len, width;

		if (o->columns[i].type == OUT_BOOL && *s &&
		    (o->rows || o->has_begun))
			s = is_true(s) ? "yes" : "no";
		utf8_escape(&o->text, s, strlen(s));
		width = utf8_width(o->text.data + start, o->text.len - start);
		if (width > o->widths[i] && !o->has_begun)
			o->widths[i] = width;
		buf_putc(&o->text, '\0');
	}
	o->rows++;
	if (o->rows > TABLE_ROWS || o->has_begun)
		print_table(o);
}

static void
add_row(struct out *o, const char *const *values)
{
	switch (o->format) {
	case OUT_TABLE:
		row_table(o, values);
		return;
	case OUT_TSV:
	case OUT_CSV:
		row_separated(o, values);
		break;
	case OUT_JSON:
	case OUT_JSONL:
		row_json(o, values);
		break;
	}
	flush_text(o);
}

/* Each object says the names; they are made ready once. */
static void
json_head(struct out *o)
{
	for (size_t i = 0; i < o->n; i++) {
		buf_putc(&o->head, i ? ',' : '{');
		utf8_json(&o->head, o->columns[i].name,
			  strlen(o->columns[i].name));
		buf_add(&o->head, ":", 2);
	}
	if (buf_failed(&o->head))
		o->failed = true;
}

/* The head is a row of names; JSON says them in each object. */
static void
add_head(struct out *o)
{
	const char **names;

	if (o->format == OUT_JSON || o->format == OUT_JSONL) {
		json_head(o);
		return;
	}
	names = calloc(o->n, sizeof(*names));
	if (!names) {
		o->failed = true;
		return;
	}
	for (size_t i = 0; i < o->n; i++)
		names[i] = o->columns[i].name;
	add_row(o, names);
	free(names);
}

struct out *
out_begin(FILE *file, enum out_format format, const struct out_column *columns,
	  size_t n, struct verr *e)
{
	struct out *o = calloc(1, sizeof(*o));

	if (o)
		o->widths = calloc(n ? n : 1, sizeof(*o->widths));
	if (!o || !o->widths) {
		free(o);
		verr_set(e, VERR_RETRY, "out of memory for the output");
		return NULL;
	}
	o->file = file;
	o->format = format;
	o->columns = columns;
	o->n = n;
	o->text = BUF_INIT;
	o->head = BUF_INIT;
	add_head(o);
	return o;
}

void
out_row(struct out *o, const char *const *values)
{
	add_row(o, values);
	if (o->format != OUT_TABLE)
		o->rows++;
}

bool
out_failed(const struct out *o)
{
	return o->failed || ferror(o->file);
}

int
out_end(struct out *o, struct verr *e)
{
	int rc = 0;

	if (!o)
		return 0;
	if (o->format == OUT_TABLE)
		print_table(o);
	else if (o->format == OUT_JSON)
		fputs(o->rows ? "\n]\n" : "[]\n", o->file);
	if (o->failed)
		rc = verr_set(e, VERR_RETRY, "out of memory for the output");
	else if (!out_flush(o->file))
		rc = verr_sys(e, VERR_SYSTEM, "cannot write to %s",
			      o->file == stdout ? "standard output"
						: "the output");
	buf_release(&o->text);
	buf_release(&o->head);
	free(o->widths);
	free(o);
	return rc;
}

int
out_verbatim(const char *text, size_t len, struct verr *e)
{
	out_write(stdout, text, len);
	if (!out_flush(stdout))
		return verr_sys(e, VERR_SYSTEM,
				"cannot write to standard output");
	return 0;
}
