// Draws the charts of the report from the JSON in #chart-data. Sets data-charts on <body> when done, which
// the page's test waits for.
(() => {
  'use strict';
  const data = JSON.parse(document.getElementById('chart-data').textContent);
  const charts = [];

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
  const unit = {psnr: 'dB', ssim: 'SSIM', top1: 'top-1 accuracy', loss: 'loss', output: 'relative error'}[data.metric] || data.metric;

  function axis(title, more) {
    return Object.assign({
      title: {display: Boolean(title), text: title, color: colour('soft')},
      ticks: {color: colour('soft')},
      grid: {color: colour('line'), borderColor: colour('line')},
    }, more);
  }

  function draw(id, config) {
    const canvas = document.getElementById(id);
    if (!canvas) return;
    config.options = Object.assign({
      responsive: true, maintainAspectRatio: false, animation: false,
      plugins: {legend: {display: config.data.datasets.length > 1, labels: {color: colour('ink'), boxWidth: 12}}},
    }, config.options);
    charts.push(new Chart(canvas, config));
  }

  const bars = (label, values, name) => ({label, data: values, backgroundColor: colour(name), maxBarThickness: 20});

  function layers({names, kept, removed}) {
    draw('layers', {
      type: 'bar',
      data: {labels: names, datasets: [bars('kept', kept, 'first'), bars('removed', removed, 'gone')]},
      options: {indexAxis: 'y', scales: {x: axis('channels', {stacked: true}), y: axis('', {stacked: true})}},
    });
  }

  function quality(sets) {
    draw('quality', {
      type: 'bar',
      data: {labels: ['pruned', 'recovered'],
             datasets: sets.map((set, i) => bars(set.name, set.values, i ? 'second' : 'first'))},
      options: {indexAxis: 'y', scales: {x: axis('change against the original, ' + unit), y: axis('')}},
    });
  }

  // Values far from zero: points instead of bars, so that the axis needn't start there.
  function methods({names, pruned, recovered, dense}) {
    const points = (label, values, name, style) => ({
      label, data: values.map((x, i) => ({x, y: names[i]})).filter((p) => p.x !== null), showLine: false,
      borderColor: colour(name), backgroundColor: colour(name), pointStyle: style, pointRadius: 6,
    });
    const sets = [points('pruned', pruned, 'second', 'circle'), points('recovered', recovered, 'first', 'rectRot')];
    if (dense !== undefined) {
      sets.push({label: 'original', data: names.map((y) => ({x: dense, y})), pointRadius: 0,
                 borderColor: colour('soft'), backgroundColor: colour('soft'), borderDash: [4, 4], borderWidth: 1.5});
    }
    draw('methods', {
      type: 'line', data: {labels: names, datasets: sets.filter((set) => set.data.length)},
      options: {indexAxis: 'y', scales: {x: axis('held-out, ' + unit, {type: 'linear'}), y: axis('', {offset: true})}},
    });
  }

  function budgets({kind, pruned, recovered, dense}) {
    const of = {filters: 'filters', params: 'parameters', macs: 'multiply-adds'}[kind] || kind;
    const line = (label, points, name) => ({label, data: points, borderColor: colour(name), backgroundColor: colour(name),
                                            borderWidth: 2, pointRadius: 4, lineTension: 0, tension: 0, fill: false});
    const sets = [line('pruned', pruned, 'second'), line('recovered', recovered, 'first')].filter((set) => set.data.length);
    if (dense !== undefined) {
      const original = line('original', [0, 100].map((x) => ({x, y: dense})), 'soft');
      sets.push(Object.assign(original, {borderDash: [4, 4], borderWidth: 1.5, pointRadius: 0}));
    }
    draw('budgets', {
      type: 'line', data: {datasets: sets},
      options: {scales: {x: axis(of + ' kept, %', {type: 'linear', min: 0, max: 100}), y: axis('held-out, ' + unit)}},
    });
  }

  function history(points) {
    draw('history', {
      type: 'line',
      data: {datasets: [{label: 'best so far', data: points, stepped: true, borderColor: colour('first'),
                         borderWidth: 2, pointRadius: points.length > 60 ? 0 : 2.5, backgroundColor: colour('first')}]},
      options: {scales: {x: axis('masks evaluated', {type: 'linear'}), y: axis('calibration data')}},
    });
  }

  function trust(sets) {
    const names = ['first', 'second', 'third', 'soft'];
    draw('trust', {
      type: 'scatter',
      data: {datasets: sets.map(({name, points}, i) => ({
        label: name, data: points, backgroundColor: colour(names[i % names.length]), pointRadius: 3,
        pointStyle: ['circle', 'rectRot', 'triangle', 'rect'][i % 4],
      }))},
      options: {scales: {x: axis('rank of the predicted energy, 1 is lowest', {type: 'linear'}), y: axis(unit)}},
    });
  }

  function stages({names, seconds}) {
    draw('stages', {type: 'bar', data: {labels: names, datasets: [bars('seconds', seconds, 'third')]},
                    options: {indexAxis: 'y', scales: {x: axis('seconds'), y: axis('')}}});
  }

  function drawAll() {
    charts.splice(0).forEach((chart) => chart.destroy());
    for (const [name, draws] of Object.entries({layers, quality, methods, budgets, history, trust, stages})) {
      if (data[name]) draws(data[name]);
    }
    document.body.dataset.charts = String(charts.length);
  }
  drawAll();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
})();
