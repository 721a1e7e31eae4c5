// ---- The one sentence

/** @returns {{level: string, words: string, states: string}} states are the words without what changes all the time */
function trouble(frame) {
  const [states, rates] = [[], []];
  let level = 'good';
  const raise = (to) => { if (level !== 'bad') level = to; };
  const count = (list, is, to, say) => {
    const things = frame[list] ?? [];
    const n = things.filter(is).length;
    if (!n) return;
    raise(to);
    const beyond = n === things.length && frame.more?.[list]; // the most urgent come first
    states.push(beyond ? say(n).replace(/^\S+/, '$& or more') : say(n));
  };
  count('breakers', (b) => b.state === 'open', 'bad', (n) => many(n, 'breaker open', 'breakers open'));
  count('breakers', (b) => b.state === 'half_open', 'warn', (n) => many(n, 'breaker half-open', 'breakers half-open'));
  count('endpoints', (e) => e.state === 'ejected', 'bad', (n) => many(n, 'endpoint ejected', 'endpoints ejected'));
  count('limits', (l) => l.held, 'bad', (n) => many(n, 'key held back', 'keys held back'));
  count('pools', (p) => p.waiting, 'warn', (n) => many(n, 'pool with callers waiting', 'pools with callers waiting'));

  const lately = (list) => (list ?? []).slice(-4, -1).reduce((sum, n) => sum + n, 0) / 3; // of whole seconds
  const sums = (frame.traffic ?? []).filter((r) => !r.key); // of tries, and of requests
  const refused = sums.reduce((sum, r) => sum + lately(r.refused), 0);
  if (refused) {
    raise('warn');
    rates.push(`${number(refused)} refusals/s`);
  }
  for (const r of sums) {
    const [tries, failed] = [lately(r.tries), lately(r.failed)];
    if (!failed || failed < tries / 100) continue;
    raise(failed >= tries / 2 ? 'bad' : 'warn');
    rates.push(`${whole.format((100 * failed) / tries)} % of ${r.inbound ? 'requests' : 'tries'} fail`);
  }
  const words = [...states, ...rates].join(', ') || 'all is well';
  return { level, words, states: [level, ...states].join(', ') };
}

const announcing = { every: 5000, at: -Infinity, states: '' };

/** Says words aloud where the states that they are about are others than before, and not too often. */
function announce(states, words) {
  const now = performance.now();
  if (states === announcing.states || now - announcing.at < announcing.every) return;
  Object.assign(announcing, { at: now, states });
  write($('announced'), words);
}

function summarize(frame) {
  const t = trouble(frame);
  attribute($('summary'), 'data-level', t.level);
  write($('summary').querySelector('.shape'), shapes[t.level]);
  write($('summary').querySelector('.words'), t.words);
  entitle(t);
  announce(t.states, t.words);
}

function entitle(t) {
  const title = connection.state === 'live' ? `${shapes[t.level]} ${t.words} · magnetar` : `? ${connection.state}… · magnetar`;
  if (document.title !== title) document.title = title;
}

// ---- Rendering: at most once a frame, and not where nobody sees it

const view = { frame: null, raw: null, last: '', due: false, paused: false, at: 0, terms: [] };

function render() {
  view.due = false;
  if (view.raw !== null && !view.paused) {
    view.frame = JSON.parse(view.raw);
    view.raw = null;
    view.at = connection.at;
  }
  const { frame, terms } = view;
  if (!frame) return;
  for (const [list, table] of Object.entries(tables)) table.render(frame[list] ?? [], frame.more?.[list], terms);
  summarize(frame);
  showTime($('at'), frame.at);
  showTime($('started'), frame.started, date);
}

function ask() {
  if (view.due) return;
  view.due = true;
  requestAnimationFrame(render);
}

// ---- The connection: EventSource comes back by itself, but not from every answer, and not from silence

const connection = { source: null, state: 'connecting', at: 0, heard: 0, silence: 10_000, again: 0 };

function connect() {
  clearTimeout(connection.again);
  connection.source?.close();
  connection.at = performance.now();
  const source = new EventSource(location.href);
  connection.source = source;
  source.onmessage = (event) => {
    connection.at = performance.now();
    if (event.data !== view.last) connection.heard = connection.at; // the same again is no news
    view.last = event.data;
    connection.state = 'live';
    view.raw = event.data;
    if (document.hidden) entitle(trouble(JSON.parse(event.data))); // a tab's title is all there is to see of it
    else ask();
    tellConnection();
  };
  source.onerror = () => {
    connection.state = 'reconnecting';
    if (source.readyState === EventSource.CLOSED) connection.again = setTimeout(connect, 2000);
    tellConnection();
  };
}

/** @returns {string} how long ago that was, in seconds at least */
const since = (at) => duration(Math.max(1000, performance.now() - at)).replace(/\.\d/, '');

function tellConnection() {
  const late = performance.now() - connection.heard >= 2000 + (view.frame?.every ?? 0);
  const state = connection.state === 'live' && late ? 'late' : connection.state;
  if ($('connection').dataset.state !== state) {
    attribute($('connection'), 'data-state', state);
    if (view.frame) entitle(trouble(view.frame));
  }
  const said = state === 'late' ? 'no news' : state === 'live' ? 'live' : `${state}…`;
  write($('connection').firstElementChild, said);
  write($('connection').lastElementChild, !view.frame ? '' : late ? `, last frame ${since(connection.heard)} ago` : ', last frame now');
  const stale = view.frame !== null && state !== 'live'; // what was well need not be now
  $('summary').classList.toggle('stale', stale);
  const asOf = `as of ${since(view.paused ? view.at : connection.heard)} ago`;
  write($('summary').querySelector('.aside'), view.paused ? `paused, ${asOf}` : stale ? asOf : '');
  if (stale) announce(state, state === 'late' ? 'no news from the server' : 'the connection is lost');
}

setInterval(() => {
  if (performance.now() - connection.at > connection.silence) {
    connection.state = 'reconnecting';
    connect();
  }
  if (!document.hidden) tellConnection();
}, 1000);

document.addEventListener('visibilitychange', () => { if (!document.hidden) ask(); });

// ---- Hands

function pause() {
  view.paused = !view.paused;
  $('pause').setAttribute('aria-pressed', String(view.paused));
  document.body.classList.toggle('paused', view.paused);
  tellConnection();
  ask();
}

function narrow() {
  view.terms = $('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
  ask();
}

$('pause').addEventListener('click', pause);
$('filter').addEventListener('input', narrow);
$('help').addEventListener('click', () => $('keys').showModal());
$('close').addEventListener('click', () => $('keys').close());

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $('keys').open) return;
  const filter = $('filter');
  if (event.key === 'Escape') {
    filter.value = '';
    narrow();
    if (document.activeElement === filter) filter.blur();
    return;
  }
  if (document.activeElement === filter || !$('single').checked) return;
  const action = { '/': () => filter.focus(), p: pause, '?': () => $('keys').showModal() }[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

connect();
