'use strict';

const $ = (id) => document.getElementById(id);

// ---- Words and figures

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const date = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

const number = (n) => (Math.abs(n) < 10 ? tenth : whole).format(n);
const some = (n) => (n ? number(n) : '');
const many = (n, one, more) => `${whole.format(n)} ${n === 1 ? one : more}`;

/** @param {number} ms @returns {string} such as "850 ms", "12 s", "3 min" */
function duration(ms) {
  if (ms > 0 && ms < 0.05) return '< 0.1 ms';
  if (ms < 1000) return `${number(ms)} ms`;
  const units = [['s', 1000], ['min', 60_000], ['h', 3_600_000], ['d', 86_400_000]];
  const [unit, size] = units.findLast(([, size]) => ms >= size);
  return `${number(Math.floor((ms / size) * 10) / 10)} ${unit}`;
}
const maybe = (ms) => (ms ? duration(ms) : '');

/** Seconds that count down keep their width. */
const countdown = (ms) => (!ms ? '' : ms < 100_000 ? `${(ms / 1000).toFixed(1)} s` : duration(ms));

const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Strangers' text: what does not show or turns the line around is spelled out, what is long is cut. */
function plain(text, most = 160) {
  let s = String(text ?? '');
  const length = s.length;
  if (length > most) s = s.slice(0, most).replace(/[\ud800-\udbff]$/, '');
  s = s.replace(unseen, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
  return length > most ? `${s}… (${whole.format(length)} characters)` : s;
}

const word = (s) => plain(s).replaceAll('_', ' ').replace('half open', 'half-open');

// ---- The document: everything is text, and is touched only where it differs

function write(node, text) {
  if (node.textContent === text) return;
  if (node.firstChild?.nodeType === Node.TEXT_NODE) node.firstChild.data = text;
  else node.textContent = text;
}

function attribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

function element(parent, tag, className = '') {
  const e = document.createElement(tag);
  if (className) e.className = className;
  return parent.appendChild(e);
}

function drawing(parent, tag, attributes) {
  const e = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  return parent.appendChild(e);
}
