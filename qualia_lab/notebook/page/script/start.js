document.documentElement.classList.add("js");
indexElements();
startTables();
startChoice();
startBar();
startCharts();
startPictures();
startContents();
