"""Attempts to exhaust the renderer. Each must end in a TemplateError, and soon."""

from __future__ import annotations

import time

import pytest

from chalicelib.domain.errors import TemplateError
from chalicelib.domain.template import Renderer
from chalicelib.domain.template import dialect as template_dialect
from chalicelib.domain.template import limits as template_limits
from tests.fakes.templates import HOSTILE as CONTEXT

RENDERER = Renderer()


def loop(body, turns="range(end=10000)"):
    return "{% for a in " + turns + " %}" + body + "{% endfor %}"


EXHAUSTING = {
    "nested loops": loop(loop("")),
    "nested loops with text": loop(loop("x" * 500)),
    "conditions": loop(loop("{% if a == 1 and a or not a %}{% endif %}")),
    "long range": "{{ range(end=99999999999) | length }}",
    "longest range": "{{ range(end=18446744073709551615) | length }}",
    "doubling a string": "{% set x = 'ab' %}" + loop("{% set_global x = x ~ x %}"),
    "doubling an array": "{% set x = [1] %}" + loop("{% set_global x = x | concat(with=x) %}"),
    "growing an array": "{% set x = [1] %}" + loop("{% set_global x = x | concat(with=1) %}"),
    "deep array": "{% set x = [1] %}" + loop("{% set_global x = [x] %}") + "{{ x }}",
    "deep and shared": "{% set x = [1] %}"
    + loop("{% set_global x = [x, x] %}", "range(end=50)")
    + "{{ x }}",
    "deep comparison": (
        "{% set x = [1] %}{% set y = [1] %}"
        + loop("{% set_global x = [x, x] %}{% set_global y = [y, y] %}", "range(end=50)")
        + "{{ x == y }}"
    ),
    "large number": "{% set x = 2 %}" + loop("{% set_global x = x * x %}"),
    "long numeral": "{{ " + "9" * 100_000 + " }}",
    "many texts in a filter block": "{% filter upper %}" + loop("y" * 10_000) + "{% endfilter %}",
    "much output": loop("y" * 10_000),
    "replace by much": "{{ long | replace(from='', to=long) }}",
    "indent by much": "{{ long | replace(from='a', to='b') | indent(prefix=long, first=true) }}",
    "join by much": "{{ numbers | join(sep=long) }}",
    "split into many": "{{ long | split(pat='') }}",
    "upper often": loop("{% set x = long | upper %}"),
    "slugify often": loop("{% set x = long | slugify %}"),
    "title often": loop("{% set x = long | title %}"),
    "strip many open tags": loop("{% set x = angles | striptags %}"),
    "strip many open comments": loop("{% set x = comments | striptags %}"),
    "escape much": "{{ angles | escape }}",
    "sort often": loop("{% set x = big | sort(attribute='s') %}"),
    "group often": loop("{% set x = big | group_by(attribute='i') %}"),
    "unique often": loop("{% set x = big | unique(attribute='i') %}"),
    "print often": loop("{% set x = big | as_str %}"),
    "encode often": loop("{% set x = big | json_encode %}"),
    "look in often": loop("{% if 'q' in big %}{% endif %}"),
    "compare often": loop("{% if big == big %}{% endif %}"),
    "long attribute": "{{ big | map(attribute='" + ".".join("s" * 5000) + "') }}",
    "dates": loop("{% set x = a | date(format='" + "%c" * 99 + "') %}"),
    "long date": "{{ 1 | date(format='" + "%Y" * 1000 + "') }}",
    "pattern, nested": loop("{% if long is matching('(a+)+$') %}{% endif %}"),
    "pattern, optional": "{{ long is matching('(a?){500}a{500}b') }}",
    "pattern, many": loop("{% if long is matching('(a|aa)*b' ~ a) %}{% endif %}"),
    "pattern, counted": "{{ '' is matching('(((((){1000}){1000}){1000}){1000}){1000}') }}",
    "pattern, large": loop("{% if '' is matching('(x{50}){50}' ~ a) %}{% endif %}"),
    "pattern, deep": "{{ '' is matching('" + "(" * 400 + ")" * 400 + "') }}",
    "pattern, long": "{{ '' is matching('" + "a" * 2000 + "') }}",
    "many expressions": "{{ n }}" * 9_000,
    "brackets": "{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}",
    "arrays": "{{ " + "[" * 5_000 + "1" + "]" * 5_000 + " }}",
    "nots": "{{ " + "not " * 9_000 + "1 }}",
    "minuses": "{{ " + "- " * 5_000 + "1 }}",
    "sums": "{{ " + "1 + " * 4_000 + "1 }}",
    "choices": "{{ " + "1 if 1 else " * 1_500 + "1 }}",
    "filters in a row": "{{ s" + " | upper" * 3_000 + " }}",
    "ifs": "{% if n %}" * 3_000 + "{% endif %}" * 3_000,
    "loops": "{% for a in l %}" * 30 + "{% endfor %}" * 30,
    "filter blocks": "{% filter upper %}" * 50 + "{% endfilter %}" * 50,
    "large source": "x" * (template_limits.MAX_SOURCE_BYTES + 1),
    "large source in bytes": "é" * (template_limits.MAX_SOURCE_BYTES // 2 + 1),
    "open braces": "{{" * 120_000,
    "open blocks": "{% " * 80_000,
    "open comments": "{# " * 80_000 + "{{ 1 }}",
    "open raws": "{% raw %}" * 20_000,
    "open string": "{{ '" + "a" * 200_000,
    "blanks": "{% " + " " * 200_000,
}


@pytest.mark.parametrize("source", EXHAUSTING.values(), ids=EXHAUSTING)
def test_no_way_to_exhaust_it(source):
    start = time.process_time()
    with pytest.raises(TemplateError) as caught:
        RENDERER.render(source, CONTEXT)
    assert time.process_time() - start < 2  # 0.2 s at most on an idle machine
    assert len(caught.value.message) <= template_dialect.MAX_MESSAGE + 50


def test_the_bound_is_the_same_each_time():
    source = loop("{% set x = long | upper %}{{ a }}")
    messages = set()
    for _ in range(3):
        with pytest.raises(TemplateError) as caught:
            RENDERER.render(source, CONTEXT)
        messages.add(caught.value.message)
    assert len(messages) == 1


def test_the_largest_result_fits_and_one_more_byte_does_not():
    room = template_limits.MAX_OUTPUT_BYTES
    assert len(RENDERER.render("{{ a }}{{ a }}", {"a": "x" * (room // 2)})) == room
    with pytest.raises(TemplateError, match="larger than 256 KB"):
        RENDERER.render("{{ a }}{{ a }}x", {"a": "x" * (room // 2)})


def test_the_result_is_measured_in_bytes():
    with pytest.raises(TemplateError, match="larger than 256 KB"):
        RENDERER.render("{{ a }}{{ a }}", {"a": "é" * 100_000})


def test_a_loop_of_ten_thousand_fits():
    source = "{% for i in numbers %}{{ i }},{% endfor %}"
    assert RENDERER.render(source, CONTEXT).endswith("9999,")
