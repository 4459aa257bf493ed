"""The sandbox: attempts to leave it. Each must end in a TemplateError."""

from __future__ import annotations

from collections import OrderedDict, UserDict
from types import SimpleNamespace

import pytest
from jinja2 import nodes
from jinja2.exceptions import SecurityError

from chalicelib.domain.errors import TemplateError
from chalicelib.domain.template import Renderer, check
from chalicelib.domain.template import dialect as template_dialect
from chalicelib.domain.template import runtime as template_runtime
from tests.fakes.templates import HOSTILE as CONTEXT

RENDERER = Renderer()
ESCAPES = [
    # attribute chains
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ s.__class__ }}",
    "{{ [].__class__.__base__ }}",
    "{{ l.__class__ }}",
    "{{ o.__class__ }}",
    "{{ n.__class__ }}",
    "{{ n.real }}",
    "{{ true.__class__ }}",
    "{{ none.__class__ }}",
    "{{ (1.5).__class__ }}",
    "{{ range.__class__ }}",
    "{{ o.__init__.__globals__ }}",
    "{{ o['__class__'] }}",
    "{{ ''['__class__'] }}",
    "{{ s['__cl' ~ 'ass__'] }}",
    "{{ s[['__cl', 'ass__'] | join(sep='')] }}",
    "{{ s['__ssalc__' | reverse] }}",
    "{% set k = '__class__' %}{{ s[k] }}",
    "{{ o | get(key='__class__') }}",
    r"{{ ''['\x5f\x5fclass\x5f\x5f'] }}",
    "{{ undefined_name.__class__ }}",
    "{{ (undefined_name | default(value=s)).__class__ }}",
    "{{ (s | upper).__class__ }}",
    "{{ fmt.format }}",
    "{{ o.items }}",
    "{{ o.keys }}",
    "{{ l.append }}",
    "{{ range(end=2).count }}",
    # calling
    "{{ s.upper() }}",
    "{{ o.items() }}",
    "{{ o.update() }}",
    "{{ l.append(1) }}",
    "{{ l.pop() }}",
    "{{ fmt.format(s) }}",
    "{{ fmt.format_map(o) }}",
    "{{ '{0.__class__}'.format(1) }}",
    "{{ ('{0.__class__}' | safe).format(1) }}",
    "{{ o.a() }}",
    "{{ s() }}",
    "{{ 'a'() }}",
    "{{ (s)(1) }}",
    "{{ range(end=3)() }}",
    "{{ range(3) }}",
    "{{ range(*l) }}",
    "{{ range(**o) }}",
    "{{ s | replace(**o) }}",
    "{{ s | truncate(*l) }}",
    # filters and tests of Jinja's that lead out, and names of our own operations
    "{{ s | attr('__class__') }}",
    "{{ s | attr(name='__class__') }}",
    "{{ fmt | format(s) }}",
    "{{ l | map('upper') }}",
    "{{ l | map(filter='attr') }}",
    "{{ l | select('odd') }}",
    "{{ l | selectattr('x') }}",
    "{{ l | groupby('x') }}",
    "{{ s | xmlattr }}",
    "{{ s | pprint }}",
    "{{ s | string }}",
    "{{ s | list }}",
    "{{ o | items }}",
    "{{ o | dictsort }}",
    "{{ l | random }}",
    "{{ l | sum }}",
    "{{ l | batch(linecount=2) }}",
    "{{ s | center(width=9) }}",
    "{{ s | tojson }}",
    "{{ s | path }}",
    "{{ s | operate }}",
    "{{ s | <path> }}",
    "{{ s | filter.x }}",
    "{{ s is callable }}",
    "{{ s is sameas(s) }}",
    "{{ s is filter }}",
    "{{ s is mapping }}",
    # globals
    "{{ lipsum }}",
    "{{ lipsum() }}",
    "{{ lipsum.__globals__ }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ cycler }}",
    "{{ cycler('a') }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ joiner() }}",
    "{{ joiner.__init__ }}",
    "{{ namespace() }}",
    "{{ namespace(a=1) }}",
    "{{ dict(a=1) }}",
    "{{ dict }}",
    "{{ range }}",
    "{{ self }}",
    "{{ self.__init__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ super() }}",
    "{{ caller() }}",
    "{{ varargs }}",
    "{{ kwargs }}",
    "{{ context }}",
    "{{ context.environment }}",
    "{{ environment }}",
    "{{ resolve }}",
    "{{ resolve('s') }}",
    "{{ missing }}",
    "{{ undefined(name='x') }}",
    "{{ concat }}",
    "{{ cond_expr_undefined }}",
    "{{ Markup }}",
    "{{ t_1 }}",
    "{{ l_0_s }}",
    "{{ _ }}",
    "{{ __builtins__ }}",
    "{{ __import__('os') }}",
    "{{ __tera_context }}",
    "{{ _loop_vars }}",
    "{{ gettext('a') }}",
    "{{ get_env(name='PATH') }}",
    "{{ throw.__globals__ }}",
    # the loop
    "{{ loop }}",
    "{{ loop.index }}",
    "{% for i in l %}{{ loop.__class__ }}{% endfor %}",
    "{% for i in l %}{{ loop._iterable }}{% endfor %}",
    "{% for i in l %}{{ loop.cycle('a') }}{% endfor %}",
    "{% for i in l %}{{ loop.changed(i) }}{% endfor %}",
    "{% for i in l %}{{ loop.length }}{% endfor %}",
    "{% for i in l %}{{ loop.previtem }}{% endfor %}",
    "{% for i in l recursive %}{{ loop(l) }}{% endfor %}",
    "{% for i in l %}{{ loop(l) }}{% endfor %}",
    "{% for loop in l %}{% endfor %}",
    "{% for a, b, c in l %}{% endfor %}",
    "{% for (a, b), c in l %}{% endfor %}",
    "{% for o.a in l %}{% endfor %}",
    "{% for i in o.__dict__ %}{% endfor %}",
    # tags
    "{% include 'x' %}",
    "{% include s %}",
    "{% import 'os' as os %}",
    "{% from 'os' import popen %}",
    "{% extends 'x' %}",
    "{% extends s %}",
    "{% block a %}{% endblock %}",
    "{% block a scoped %}{% endblock %}",
    "{% macro m() %}{% endmacro %}",
    "{% macro m(a=s.__class__) %}{% endmacro %}{{ m() }}",
    "{% call s() %}{% endcall %}",
    "{% with a = 1 %}{% endwith %}",
    "{% autoescape true %}{{ s }}{% endautoescape %}",
    "{% do l.append(1) %}",
    "{% trans %}a{% endtrans %}",
    "{% debug %}",
    "{% set o.a = 2 %}",
    "{% set_global o.a = 2 %}",
    "{% set a, b = l %}",
    "{% set_global a %}x{% endset %}",
    "{% set ns = namespace() %}{% set ns.a = 1 %}",
    "{% filter attr('__class__') %}a{% endfilter %}",
    "{% continue %}",
    # formatting by operators
    "{{ '%s' % s }}",
    "{{ '%999999999d' % 1 }}",
    "{{ fmt % o }}",
    "{{ s * 9 }}",
    "{{ l + l }}",
    "{{ l * 9 }}",
    "{{ ~s }}",
    "{{ s[0:2] }}",
    "{{ s[::-1] }}",
    "{{ {'a': s} }}",
    "{{ {} }}",
    "{{ (s,) }}",
    "{{ () }}",
    "{{ 2 ** 99 }}",
    "{{ 1e999 }}",
    "{{ lambda: 1 }}",
    "{{ [x for x in l] }}",
    "{{ s := 1 }}",
    "{{ await s }}",
    "{{ s if n }}",
    "{{ o.a = 1 }}",
]


@pytest.mark.parametrize("source", ESCAPES)
def test_no_way_out(source):
    with pytest.raises(TemplateError):
        RENDERER.render(source, CONTEXT)


def test_there_are_many_attempts():
    assert len(ESCAPES) == len(set(ESCAPES)) >= 60


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


@pytest.mark.parametrize(
    "value",
    [
        object(),
        SimpleNamespace(a=1),
        print,
        str,
        (1, 2),
        {1, 2},
        b"bytes",
        Text("a"),
        Whole(1),
        OrderedDict(a=1),
        UserDict(a=1),
        {1: "a"},
        range(3),
        lambda: 1,
        1j,
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: {"a": [value]}])
def test_only_plain_json_is_taken(value, wrap):
    with pytest.raises(TemplateError, match="`v` cannot be used"):
        RENDERER.render("{% if v %}{% endif %}", {"v": wrap(value)})
    with pytest.raises(TemplateError, match="`v` cannot be used"):
        RENDERER.render_input("{{ v }}", {"v": wrap(value)})


def test_what_a_template_does_not_read_is_not_looked_at():
    assert RENDERER.render("{{ a }}", {"a": 1, "b": object()}) == "1"


def test_a_value_that_contains_itself_is_refused():
    value = []
    value.append(value)
    with pytest.raises(TemplateError, match="nested more than 64"):
        RENDERER.render("{{ v }}", {"v": value})


def test_a_huge_number_in_the_context_is_an_error_and_no_crash():
    with pytest.raises(TemplateError):
        RENDERER.render("{{ v }}", {"v": 10**5000})
    with pytest.raises(TemplateError):
        RENDERER.render("{{ v | int }}{{ v | float }}", {"v": 10**400})
    with pytest.raises(TemplateError):
        RENDERER.render("{{ v }}", {"v": float("nan")})


def test_values_are_never_changed():
    value = {"l": [3, 1, 2], "o": {"a": 1}}
    RENDERER.render(
        "{% set l = v.l | sort %}{% set m = v.l | concat(with=4) %}{% set v = 1 %}{{ l }}{{ m }}",
        {"v": value},
    )
    assert value == {"l": [3, 1, 2], "o": {"a": 1}}


def test_the_environment_is_empty_but_for_our_operations():
    sandbox = template_dialect.SANDBOX
    assert sandbox.globals == {}
    assert sandbox.tests == {}
    assert sandbox.filters == template_runtime.OPERATIONS
    assert all(name.startswith("<") for name in sandbox.filters)


@pytest.mark.parametrize(
    "expression",
    [
        nodes.Getattr(nodes.Const(""), "__class__", "load"),
        nodes.Getitem(nodes.Const(""), nodes.Const("__class__"), "load"),
        nodes.Call(nodes.Const(""), [], [], None, None),
    ],
    ids=lambda node: type(node).__name__,
)
def test_the_second_fence_holds_when_the_first_is_taken_away(expression):
    tree = nodes.Template([nodes.Output([expression])], lineno=1)
    tree.set_environment(template_dialect.SANDBOX)
    with pytest.raises(SecurityError):
        template_dialect.SANDBOX.from_string(tree).render()


@pytest.mark.parametrize(
    "source",
    [
        "{{ s | upper }}",
        "{% for k, v in o %}{{ k ~ loop.index }}{% else %}x{% endfor %}",
        "{% set a = [s, n + 1] %}{% set_global b = a | first %}{{ a and not b }}",
        "{% filter upper %}{{ o['a'] }}{% endfilter %}{{ range(end=n) | json_encode }}",
        "{% if s is matching('a') or 'b' in s %}{% elif n > 2 %}{% endif %}",
    ],
)
def test_generated_code_calls_our_operations_only(source):
    rewriter = template_dialect.Rewriter()
    tree = rewriter.template(template_dialect.SANDBOX.parse(source))
    kinds = {type(node).__name__ for node in tree.find_all(nodes.Node)}
    kinds -= {"Const", "TemplateData", "List", "Keyword", "CondExpr"}
    kinds -= {"Output", "If", "For", "FilterBlock", "ExprStmt", "Filter"}
    assert kinds <= {"Name"}
    assert {node.name for node in tree.find_all(nodes.Name)} <= {"_"}
    assert {node.name for node in tree.find_all(nodes.Filter)} <= set(template_runtime.OPERATIONS)


def test_few_templates_are_kept():
    for number in range(template_dialect.CACHED_TEMPLATES + 50):
        check(f"{number} ")
    kept = template_dialect._kept.cache_info()
    assert kept.currsize <= template_dialect.CACHED_TEMPLATES
