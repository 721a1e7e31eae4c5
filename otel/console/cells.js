// ---- Cells: what makes one in an element returns what updates it from a row

const text = (of) => (td) => (row) => write(td, of(row));

const classed = (className, cell) => (td) => {
  td.className = className;
  return cell(td);
};

const figure = (of) => classed('figure', text(of));

const name = (of, otherwise = '') => (td) => {
  td.className = 'name';
  return (row) => {
    const full = of(row);
    write(td, plain(full) || otherwise);
    attribute(td, 'title', plain(full, 1000));
  };
};

const shapes = { good: '●', warn: '△', bad: '▲', none: '○' };

const state = (level, words) => (td) => {
  const badge = element(td, 'span', 'badge');
  const shape = element(badge, 'span', 'shape');
  shape.setAttribute('aria-hidden', 'true');
  const said = element(badge, 'span');
  return (row) => {
    attribute(badge, 'data-level', level(row));
    write(shape, shapes[level(row)]);
    write(said, words(row));
  };
};

/** A figure with a bar of its share of the most there can be. */
const share = (part, most) => (td) => {
  td.className = 'figure';
  const said = element(td, 'span');
  const bar = element(td, 'span', 'bar');
  const fill = element(bar, 'span');
  return (row) => {
    const [n, of] = [part(row) ?? 0, most(row) ?? 0];
    write(said, of || n ? `${whole.format(n)}${of ? ` of ${whole.format(of)}` : ''}` : '');
    bar.hidden = !of;
    td.classList.toggle('blank', !of && !n);
    const full = of ? Math.min(1, n / of) : 0;
    attribute(bar, 'data-level', full >= 0.8 ? 'warn' : 'good');
    fill.style.width = `${Math.round(full * 100)}%`;
  };
};

/** Lines over the minute's whole seconds. The one under way would always look like a fall. */
const chart = (unit, ...series) => (td) => {
  td.className = 'graph';
  const box = element(td, 'div', 'chart');
  box.setAttribute('role', 'img');
  const said = element(box, 'span', 'said');
  const figures = series.map((s) => {
    const figure = element(said, 'b', s.look);
    element(said, 'span').textContent = ` ${s.name} `;
    return figure;
  });
  const top = element(box, 'span', 'top');
  const svg = drawing(box, 'svg', { viewBox: '0 0 58 20', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const paths = series.map((s) => [drawing(svg, 'path', { class: `area ${s.look}` }), drawing(svg, 'path', { class: `line ${s.look}` })]);
  return (row) => {
    const values = series.map((s) => (s.of(row) ?? []).slice(0, -1));
    const most = Math.max(1, ...values.flat()); // of the scale
    const now = values.map((v) => v.at(-1) ?? 0);
    figures.forEach((f, i) => {
      write(f, unit(now[i]));
      f.classList.toggle('zero', !now[i]);
    });
    const peak = Math.max(0, ...values.flat());
    write(top, peak ? `max ${unit(peak)}` : '');
    attribute(box, 'aria-label', series.map((s, i) => `${s.name}: ${unit(now[i])} now, at most ${unit(Math.max(0, ...values[i]))}`).join('; '));
    paths.forEach(([area, line], i) => {
      const d = trace(values[i], most, series[i].gaps);
      attribute(line, 'd', d);
      attribute(area, 'd', series[i].gaps || !d ? '' : `${d}V20H0Z`);
    });
  };
};

/** @returns {string} the path through values; with gaps, zero means that there is none */
function trace(values, most, gaps) {
  let d = '', down = false;
  values.forEach((v, x) => {
    if (gaps && !v) { down = false; return; }
    d += `${down ? 'L' : 'M'}${x} ${(19.5 - (19 * v) / most).toFixed(2)}${down ? '' : 'h0'}`;
    down = true;
  });
  return d;
}

const perSecond = (n) => `${number(n)}/s`;
const time = (ms) => (ms ? duration(ms) : '–');

/** @returns {string} the address, if a browser may go there without harm */
function harmless(address) {
  try {
    const url = new URL(address ?? '');
    return ['http:', 'https:'].includes(url.protocol) ? url.href : '';
  } catch {
    return '';
  }
}

const link = (td) => {
  const a = document.createElement('a');
  a.target = '_blank';
  a.rel = 'noopener noreferrer';
  return (row) => {
    const id = plain(row.trace, 64);
    const address = harmless(row.link);
    if (!address) {
      a.remove();
      write(td, id);
      return;
    }
    if (a.parentNode !== td) td.replaceChildren(a);
    write(a, id);
    attribute(a, 'href', address);
    attribute(a, 'aria-label', `trace ${id}, in a new tab`);
  };
};

function showTime(node, ms, format = clock) {
  const at = new Date(ms || 0);
  write(node, format.format(at));
  attribute(node, 'datetime', at.toISOString());
  return at;
}

const moment = (td) => {
  const t = element(td, 'time');
  return (row) => {
    const at = showTime(t, row.at);
    attribute(t, 'title', row.count > 1 ? `since ${clock.format(new Date(row.began || row.at || 0))}` : at.toISOString());
  };
};

const place = (td) => {
  td.className = 'name';
  const parts = ['key', 'endpoint', 'route', 'priority'].map((field) => {
    const part = element(td, 'span', `part ${field}`);
    td.append(' ');
    return [field, part];
  });
  return (row) => {
    for (const [field, span] of parts) write(span, plain(row[field]));
    attribute(td, 'title', plain(parts.map(([field]) => row[field]).filter(Boolean).join('  '), 1000));
  };
};
